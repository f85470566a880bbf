"""What every describer shares: the head with metadata, the events at the foot, and a fallback for any kind."""

from __future__ import annotations

import re
import time
from typing import Any

from kubectl.api.discovery import ResourceType
from kubectl.cli.command import Context
from kubectl.commands.events import age, last_seen
from kubectl.output.describe.writer import Writer

Dict = dict[str, Any]

_HEAD = ("name", "namespace", "labels", "annotations", "managedFields")
_ACRONYMS = {"Api": "API", "Uid": "UID", "Ip": "IP", "Url": "URL", "Osb": "OSB"}


def head(writer: Writer, obj: Dict, *, cluster_wide_too: bool = False) -> None:
    """`cluster_wide_too`: with an empty line for the namespace where there is none."""
    meta = obj["metadata"]
    writer.field("Name", meta["name"])
    if meta.get("namespace") or cluster_wide_too:
        writer.field("Namespace", meta.get("namespace", ""))
    writer.labels("Labels", meta.get("labels"))
    writer.annotations(meta.get("annotations"))


def controlled_by(writer: Writer, obj: Dict) -> None:
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            writer.field("Controlled By", f"{owner['kind']}/{owner['name']}")


def conditions(writer: Writer, obj: Dict) -> None:
    """Of a workload: with reasons."""
    found = obj.get("status", {}).get("conditions") or []
    if found:
        writer.heading("Conditions")
        writer.table(
            ["Type", "Status", "Reason"], [[f"{c['type']} ", c["status"], c.get("reason") or ""] for c in found]
        )


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
    rule = ["----", "------", "----", "----", "-------"]  # kubectl's, one dash longer than "Age"
    writer.table(["Type", "Reason", "Age", "From", "Message"], [rule, *rows], ruled=False)


def describe_any(context: Context, kind: ResourceType, obj: Dict) -> str:
    """Every field of a kind that has no describer of its own."""
    writer = Writer()
    head(writer, obj, cluster_wide_too=True)
    meta = {key: value for key, value in obj["metadata"].items() if key not in _HEAD}
    _tree(writer, {"apiVersion": kind.api_version, "kind": kind.kind, **obj, "metadata": meta}, 0)
    events(context, writer, obj)
    return writer.text()


def _tree(writer: Writer, values: Dict, level: int) -> None:
    for key, value in sorted(values.items()):
        label = spaced(key)
        if isinstance(value, dict):
            writer.heading(label, level)
            _tree(writer, value, level + 1)
        elif isinstance(value, list):
            writer.heading(label, level)
            for item in value:
                if isinstance(item, dict):
                    _tree(writer, item, level + 1)
                else:
                    writer.line(str(item), level + 1)
        else:
            shown = str(value).lower() if isinstance(value, bool) else value
            writer.field(label, shown, level)


def spaced(name: str) -> str:
    """ "creationTimestamp" -> "Creation Timestamp", "apiVersion" -> "API Version"."""
    if "." in name or "/" in name:
        return name
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^A-Z]+", name)
    words = [word[:1].upper() + word[1:] for word in words]
    return " ".join(_ACRONYMS.get(word, word) for word in words)
