"""`label`: sets, changes and removes labels."""

from __future__ import annotations

from kubectl.cli.command import Command
from kubectl.commands import _metadata

COMMAND = Command(
    "label",
    "Set or remove labels",
    lambda parser: _metadata.configure(parser, "label"),
    lambda context, args: _metadata.run(context, args, "label", "labeled"),
    examples="""\
  mini-kubectl label pod web tier=front
  mini-kubectl label pod web tier=back --overwrite
  mini-kubectl label pods --all tier-""",
)
