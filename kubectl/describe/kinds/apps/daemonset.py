"""DaemonSets."""

from __future__ import annotations

from apimachinery.columns import label_text
from kubectl.api.client import Dict
from kubectl.describe.kinds.apps._podcounts import write_pod_counts
from kubectl.describe.section import DescribeSection, conditions
from kubectl.describe.template import pod_template
from kubectl.describe.writer import TextWriter
from kubectl.input.pods import selector_text
from kubectl.invocation.command import CommandContext

_COUNTS = {
    "Desired Number of Nodes Scheduled": "desiredNumberScheduled",
    "Current Number of Nodes Scheduled": "currentNumberScheduled",
    "Number of Nodes Scheduled with Up-to-date Pods": "updatedNumberScheduled",
    "Number of Nodes Scheduled with Available Pods": "numberAvailable",
    "Number of Nodes Misscheduled": "numberMisscheduled",
}


def write_daemonset(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    selector = selector_text(spec["selector"])
    writer.name(obj)
    writer.field("Selector", selector)
    writer.field("Node-Selector", label_text(spec["template"]["spec"].get("nodeSelector")))
    writer.notes(meta)
    for title, name in _COUNTS.items():
        writer.line(f"{title}: {status.get(name, 0)}")  # in no column
    write_pod_counts(context, writer, meta, selector)
    pod_template(writer, spec["template"])
    conditions(writer, obj)


DESCRIBE = DescribeSection(write_daemonset, "apps")
