"""What the descriptions of roles, and those of bindings, have in common."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext
from kubectl.output.policyrules import HEADERS, rule_rows


def write_role(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    _write_head(writer, obj)
    writer.heading("PolicyRule")
    writer.table(HEADERS, rule_rows(obj.get("rules") or ()))


def write_binding(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    _write_head(writer, obj)
    writer.heading("Role")
    writer.field("Kind", obj["roleRef"]["kind"], 1)
    writer.field("Name", obj["roleRef"]["name"], 1)
    writer.heading("Subjects")
    subjects = obj.get("subjects") or ()
    rows = [[subject["kind"], subject["name"], subject.get("namespace", "")] for subject in subjects]
    writer.table(["Kind", "Name", "Namespace"], rows)


def _write_head(writer: TextWriter, obj: Dict) -> None:
    """Writes the head without the namespace, as kubectl does for these kinds."""
    meta = obj["metadata"]
    writer.field("Name", meta["name"])
    writer.notes(meta)
