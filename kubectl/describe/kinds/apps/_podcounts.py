"""The line that counts the pods of a workload by their phase."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.writer import TextWriter
from kubectl.input.pods import pods_by_selector
from kubectl.invocation.command import CommandContext

_PHASES = {"Running": "Running", "Pending": "Waiting", "Succeeded": "Succeeded", "Failed": "Failed"}


def write_pod_counts(context: CommandContext, writer: TextWriter, owner: Dict, selector: str) -> None:
    """Counts the pods that the object with the metadata `owner` controls."""
    counts = dict.fromkeys(_PHASES, 0)
    for pod in pods_by_selector(context, selector, owner["namespace"]):
        owners = pod["metadata"].get("ownerReferences") or ()
        phase = pod.get("status", {}).get("phase", "Pending")
        if phase in counts and any(each["uid"] == owner["uid"] for each in owners):
            counts[phase] += 1
    writer.field("Pods Status", " / ".join(f"{counts[phase]} {name}" for phase, name in _PHASES.items()))
