"""`label`: sets, changes and removes labels."""

from __future__ import annotations

from kubectl.commands.settings import _metadata
from kubectl.input import candidates
from kubectl.invocation.command import Command

COMMAND = Command(
    "label",
    "Set or remove labels",
    lambda parser: _metadata.configure(parser, "label"),
    lambda context, args: _metadata.run(context, args, "label", "labeled"),
    completes=candidates.types_and_names,
    examples="""\
  mini-kubectl label pod web tier=front
  mini-kubectl label pod web tier=back --overwrite
  mini-kubectl label pods --all tier-""",
)
