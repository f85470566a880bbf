"""What bounds and ranks the pods of a cluster: LimitRanges and PriorityClasses."""

from __future__ import annotations

from typing import Any

from kubectl.cli.command import Context
from kubectl.output.describe.generic import events
from kubectl.output.describe.writer import Writer

Dict = dict[str, Any]

_HEADERS = ["Type", "Resource", "Min", "Max", "Default Request", "Default Limit", "Max Limit/Request Ratio"]
_BOUNDS = ("min", "max", "defaultRequest", "default", "maxLimitRequestRatio")


def describe_priorityclass(context: Context, obj: Dict) -> str:
    writer = Writer()
    meta = obj["metadata"]
    writer.field("Name", meta["name"])
    writer.field("Value", obj.get("value", 0))
    writer.field("GlobalDefault", str(bool(obj.get("globalDefault"))).lower())
    writer.field("PreemptionPolicy", obj.get("preemptionPolicy", ""))
    writer.field("Description", obj.get("description", ""))
    annotations = sorted((meta.get("annotations") or {}).items())
    first, *rest = (",".join(f"{key}={value}" for key, value in annotations) or "<none>").split("\n")
    writer.field("Annotations", first)
    for line in rest:
        writer.line(line)
    events(context, writer, obj)
    return writer.text()


def describe_limitrange(context: Context, obj: Dict) -> str:
    writer = Writer()
    writer.field("Name", obj["metadata"]["name"])
    writer.field("Namespace", obj["metadata"]["namespace"])
    _bounds(writer, [obj], "")
    return writer.text()


def limits_of_namespace(context: Context, writer: Writer, namespace: str) -> None:
    """The LimitRanges of a namespace, below what else its description says."""
    found = context.api.list(context.discovery.find("limitranges").path(namespace))["items"]
    writer.line()
    if not found:
        writer.line("No LimitRange resource.")
        return
    writer.line("Resource Limits")
    _bounds(writer, found, " ")


def _bounds(writer: Writer, ranges: list[Dict], margin: str) -> None:
    rows = [_HEADERS, ["-" * len(header) for header in _HEADERS]]
    for item in (item for found in ranges for item in found["spec"]["limits"]):
        for name in sorted({name for field in _BOUNDS for name in item.get(field) or ()}):
            rows.append([item["type"], name, *((item.get(field) or {}).get(name, "-") for field in _BOUNDS)])
    for row in rows:
        writer.line(margin + "\t".join(row))
