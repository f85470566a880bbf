"""`annotate`: sets, changes and removes annotations."""

from __future__ import annotations

from kubectl.cli.command import Command
from kubectl.commands import _metadata

COMMAND = Command(
    "annotate",
    "Set or remove annotations",
    lambda parser: _metadata.configure(parser, "annotation"),
    lambda context, args: _metadata.run(context, args, "annotation", "annotated"),
    examples="""\
  mini-kubectl annotate pod web tier=front
  mini-kubectl annotate pod web tier=back --overwrite
  mini-kubectl annotate pods --all tier-""",
)
