"""Jobs."""

from __future__ import annotations

from apimachinery.times import human_duration, parse_time
from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection, controlled_by
from kubectl.describe.template import pod_template
from kubectl.describe.writer import TextWriter, when
from kubectl.input.pods import selector_text
from kubectl.invocation.command import CommandContext

LONGEST_INDEXES = 50
"""Characters of completed indexes beyond which the list ends with its next comma."""


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    writer.name(obj)
    writer.field("Selector", selector_text(spec.get("selector") or {}))
    writer.notes(meta)
    controlled_by(writer, obj)
    writer.field("Parallelism", spec.get("parallelism", 1))
    writer.field("Completions", spec.get("completions", "<unset>"))
    for label, name in (
        ("Completion Mode", "completionMode"),
        ("Suspend", "suspend"),
        ("Backoff Limit", "backoffLimit"),
        ("TTL Seconds After Finished", "ttlSecondsAfterFinished"),
    ):
        if name in spec:
            writer.field(label, spec[name])
    _times(writer, spec, status)
    active = f"{status.get('active', 0)} Active"
    if "ready" in status:
        active += f" ({status['ready']} Ready)"
    counts = f"{active} / {status.get('succeeded', 0)} Succeeded / {status.get('failed', 0)} Failed"
    writer.field("Pods Statuses", counts)
    if spec.get("completionMode") == "Indexed":
        writer.field("Completed Indexes", _shortened(status.get("completedIndexes", "")) or None)
    pod_template(writer, spec["template"])


def _times(writer: TextWriter, spec: Dict, status: Dict) -> None:
    start, end = status.get("startTime"), status.get("completionTime")
    if start:
        writer.field("Start Time", when(start))
    if end:
        writer.field("Completed At", when(end))
    if start and end:
        writer.field("Duration", human_duration(parse_time(end) - parse_time(start)))
    if "activeDeadlineSeconds" in spec:
        writer.field("Active Deadline Seconds", f"{spec['activeDeadlineSeconds']}s")


def _shortened(indexes: str) -> str:
    comma = indexes.find(",", LONGEST_INDEXES)
    return indexes if comma < 0 else f"{indexes[: comma + 1]}..."


DESCRIBE = DescribeSection(_write, "batch")
