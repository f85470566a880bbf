"""Describes an object: the section of its kind, then its events."""

from __future__ import annotations

import time
from importlib import import_module
from importlib.util import find_spec

from kubeapi.core.pod.lifecycle import MIRROR_ANNOTATION
from kubectl.api.client import Dict
from kubectl.api.discovery import ResourceType
from kubectl.describe import kinds
from kubectl.describe.section import DescribeSection, spaced
from kubectl.describe.writer import TextWriter
from kubectl.invocation.command import CommandContext
from kubectl.output.ages import event_age, last_seen

_HEAD = ("name", "namespace", "labels", "annotations", "managedFields")


def describe(context: CommandContext, kind: ResourceType, obj: Dict) -> str:
    """The whole description of an object."""
    writer = TextWriter()
    section = find_section(kind)
    section.write(context, writer, {"apiVersion": kind.api_version, "kind": kind.kind, **obj})
    if section.events:
        _events(context, writer, obj)
    return writer.text()


def find_section(kind: ResourceType) -> DescribeSection:
    """The section of the kind, or the one that writes every field."""
    folder = f"{kinds.__name__}.{kind.group.partition('.')[0] or 'core'}"
    name = f"{folder}.{kind.kind.lower()}"
    if find_spec(folder) is not None and find_spec(name) is not None:
        section: DescribeSection = import_module(name).DESCRIBE
        if section.group == kind.group:
            return section
    return ANY


def _events(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    """Writes the Events about the object, oldest first."""
    meta = obj["metadata"]
    fields = f"involvedObject.kind={obj['kind']},involvedObject.name={meta['name']}"
    # A mirror's events are about the static pod behind it, whose uid it bears.
    uid = (meta.get("annotations") or {}).get(MIRROR_ANNOTATION) or meta.get("uid")
    if uid and obj["kind"] != "Node":
        fields += f",involvedObject.uid={uid}"
    path = context.discovery.find("events").path(meta.get("namespace", ""))
    events = sorted(context.api.list(path, {"fieldSelector": fields})["items"], key=last_seen)
    if not events:
        writer.field("Events", None)
        return
    writer.heading("Events")
    now = time.time()
    rows = [
        [
            event.get("type", ""),
            event.get("reason", ""),
            event_age(event, now),
            event.get("reportingComponent") or (event.get("source") or {}).get("component", ""),
            " ".join((event.get("message") or "").split()),
        ]
        for event in events
    ]
    rule = ["----", "------", "----", "----", "-------"]  # kubectl's, one dash longer than "Age"
    writer.table(["Type", "Reason", "Age", "From", "Message"], [rule, *rows], ruled=False)


def _every_field(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    meta = obj["metadata"]
    writer.field("Name", meta["name"])
    writer.field("Namespace", meta.get("namespace", ""))
    writer.notes(meta)
    _tree(writer, {**obj, "metadata": {key: value for key, value in meta.items() if key not in _HEAD}}, 0)


def _tree(writer: TextWriter, values: Dict, level: int) -> None:
    for key, value in sorted(values.items()):
        label = spaced(key)
        if not isinstance(value, dict | list):
            writer.field(label, value, level)
            continue
        writer.heading(label, level)
        for item in [value] if isinstance(value, dict) else value:
            if isinstance(item, dict):
                _tree(writer, item, level + 1)
            else:
                writer.line(str(item), level + 1)


ANY = DescribeSection(_every_field)
