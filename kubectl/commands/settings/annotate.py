"""`annotate`: sets, changes and removes annotations."""

from __future__ import annotations

from kubectl.commands.settings import _metadata
from kubectl.input import candidates
from kubectl.invocation.command import Command

COMMAND = Command(
    "annotate",
    "Set or remove annotations",
    lambda parser: _metadata.configure(parser, "annotation"),
    lambda context, args: _metadata.run(context, args, "annotation", "annotated"),
    completes=candidates.types_and_names,
    examples="""\
  mini-kubectl annotate pod web tier=front
  mini-kubectl annotate pod web tier=back --overwrite
  mini-kubectl annotate pods --all tier-""",
)
