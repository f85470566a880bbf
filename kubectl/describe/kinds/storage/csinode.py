"""CSINodes: the storage drivers on a node."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.writer import TextWriter, when
from kubectl.invocation.command import CommandContext


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    writer.head(obj)
    writer.field("CreationTimestamp", when(obj["metadata"].get("creationTimestamp")))
    writer.heading("Spec")
    drivers = obj["spec"].get("drivers") or ()
    if drivers:
        writer.heading("Drivers", 1)
    for driver in drivers:
        writer.heading(driver["name"], 2)
        writer.field("Node ID", driver["nodeID"], 3)
        count = (driver.get("allocatable") or {}).get("count")
        if count is not None:
            writer.heading("Allocatables", 3)
            writer.field("Count", count, 4)
        if keys := driver.get("topologyKeys"):
            writer.field("Topology Keys", f"[{' '.join(keys)}]", 3)


DESCRIBE = DescribeSection(_write, "storage.k8s.io")
