"""What every describer shares: the head with metadata, the events at the foot, and a fallback for any kind."""

from __future__ import annotations

import time
from typing import Any

from kubectl.command import Context
from kubectl.commands.events import age, last_seen
from kubectl.describe.writer import Writer, when
from kubectl.discovery import ResourceType

Dict = dict[str, Any]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def head(writer: Writer, obj: Dict, *, annotations: bool = True) -> None:
    meta = obj["metadata"]
    writer.field("Name", meta["name"])
    if meta.get("namespace"):
        writer.field("Namespace", meta["namespace"])
    writer.mapping("Labels", meta.get("labels"))
    if annotations:
        kept = {key: value for key, value in (meta.get("annotations") or {}).items() if key != LAST_APPLIED}
        writer.mapping("Annotations", kept, ": ")


def controlled_by(writer: Writer, obj: Dict) -> None:
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            writer.field("Controlled By", f"{owner['kind']}/{owner['name']}")


def conditions(writer: Writer, obj: Dict, *, times: bool = False, reasons: bool = True) -> None:
    found = obj.get("status", {}).get("conditions") or []
    if not found:
        return
    writer.heading("Conditions")
    headers = ["Type", "Status"]
    rows = [[c["type"], c["status"]] for c in found]
    if times:
        headers += ["LastHeartbeatTime", "LastTransitionTime"]
        for row, c in zip(rows, found, strict=True):
            row += [when(c.get("lastHeartbeatTime")), when(c.get("lastTransitionTime"))]
    if reasons:
        headers.append("Reason")
        for row, c in zip(rows, found, strict=True):
            row.append(c.get("reason") or "")
    if times:
        headers.append("Message")
        for row, c in zip(rows, found, strict=True):
            row.append(c.get("message") or "")
    writer.table(headers, rows)


def events(context: Context, writer: Writer, obj: Dict) -> None:
    """The Events about the object, oldest first."""
    meta = obj["metadata"]
    fields = f"involvedObject.kind={obj['kind']},involvedObject.name={meta['name']}"
    if meta.get("uid") and obj["kind"] != "Node":
        fields += f",involvedObject.uid={meta['uid']}"
    path = context.discovery.find("events").path(meta.get("namespace", ""))
    found = sorted(context.api.list(path, {"fieldSelector": fields})["items"], key=last_seen)
    if not found:
        writer.field("Events", "<none>")
        return
    writer.heading("Events")
    now = time.time()
    rows = [
        [
            event.get("type", ""),
            event.get("reason", ""),
            age(event, now),
            event.get("reportingComponent") or (event.get("source") or {}).get("component", ""),
            " ".join((event.get("message") or "").split()),
        ]
        for event in found
    ]
    writer.table(["Type", "Reason", "Age", "From", "Message"], rows)


def describe_any(context: Context, kind: ResourceType, obj: Dict) -> str:
    """Every field of a kind that has no describer of its own."""
    writer = Writer()
    head(writer, obj)
    writer.field("API Version", kind.api_version)
    writer.field("Kind", kind.kind)
    meta = {
        key: value
        for key, value in obj["metadata"].items()
        if key not in ("name", "namespace", "labels", "annotations", "managedFields")
    }
    _tree(writer, {"metadata": meta} | {k: v for k, v in obj.items() if k not in ("metadata", "kind", "apiVersion")}, 0)
    events(context, writer, obj)
    return writer.text()


def _tree(writer: Writer, values: Dict, level: int) -> None:
    for key, value in values.items():
        label = _words(key)
        if isinstance(value, dict) and value:
            writer.heading(label, level)
            _tree(writer, value, level + 1)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            writer.heading(label, level)
            for item in value:
                _tree(writer, item, level + 1)
        elif isinstance(value, list):
            writer.heading(label, level)
            for item in value:
                writer.line(str(item), level + 1)
        else:
            writer.field(label, value, level)


def _words(name: str) -> str:
    """ "creationTimestamp" -> "Creation Timestamp"."""
    spaced = "".join(
        f" {char}" if char.isupper() and i and not name[i - 1].isupper() else char for i, char in enumerate(name)
    )
    return spaced[:1].upper() + spaced[1:]
