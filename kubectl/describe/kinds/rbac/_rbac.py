"""What the descriptions of roles, and those of bindings, have in common."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl.api.client import Dict
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext

Row = tuple[str, tuple[str, ...], tuple[str, ...], list[str]]
"""Resource, paths, names of objects, verbs."""


def write_role(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    _write_head(writer, obj)
    writer.heading("PolicyRule")
    rows = [
        [resource, *(f"[{' '.join(values)}]" for values in (paths, names, verbs))]
        for resource, paths, names, verbs in _compact(obj.get("rules") or [])
    ]
    writer.table(["Resources", "Non-Resource URLs", "Resource Names", "Verbs"], rows)


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
    writer.labels("Labels", meta.get("labels"))
    writer.annotations(meta.get("annotations"))


def _compact(rules: list[Dict]) -> list[Row]:
    """Splits rules into one row for each resource, object and path, and joins the verbs of those that are alike."""
    rows: list[Row] = []
    by_object: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for rule in rules:
        for resource, names in _objects(rule):
            verbs = by_object.get((resource, names))
            if verbs is None:
                verbs = by_object[resource, names] = []
                rows.append((resource, (), names, verbs))
            verbs.extend(rule["verbs"])
        rows += [("", (path,), (), [verb]) for path in rule.get("nonResourceURLs") or () for verb in rule["verbs"]]
    return sorted(rows, key=lambda row: (f"[{' '.join(row[3])}]", row[0], row[2], row[1]))


def _objects(rule: Dict) -> Iterator[tuple[str, tuple[str, ...]]]:
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            name, slash, subresource = resource.partition("/")
            qualified = f"{name}.{group}" if group else name
            for object_name in rule.get("resourceNames") or ("",):
                yield qualified + slash + subresource, (object_name,) if object_name else ()
