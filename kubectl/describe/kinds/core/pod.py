"""Pods."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection, controlled_by
from kubectl.describe.template import container_lines, scheduling_lines
from kubectl.describe.volumes import volume_lines
from kubectl.describe.writer import TextWriter, when
from kubectl.invocation.command import CommandContext
from kubectl.output.ages import age


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    spec, status = obj["spec"], obj.get("status", {})
    _head(writer, obj)
    writer.present(status, [("Reason", "reason"), ("Message", "message")])
    writer.field("IP", status.get("podIP", ""))
    if ips := status.get("podIPs"):
        writer.heading("IPs")
        for ip in ips:
            writer.field("IP", ip["ip"], 1)
    else:
        writer.field("IPs", None)
    controlled_by(writer, obj)
    writer.present(status, [("NominatedNodeName", "nominatedNodeName")])
    container_lines(writer, spec, status, obj)
    states = {condition["type"]: condition["status"] for condition in status.get("conditions") or ()}
    gates = [gate["conditionType"] for gate in spec.get("readinessGates") or ()]
    for heading, names in (("Readiness Gates", gates), ("Conditions", states)):
        if names:
            writer.heading(heading)
            rows = [[f"{name} ", f"{states.get(name, '<none>')} "] for name in names]
            writer.table(["Type", "Status"], rows, ruled=False)
    volume_lines(writer, spec)
    writer.present(status, [("QoS Class", "qosClass")])
    scheduling_lines(writer, spec)


def _head(writer: TextWriter, obj: Dict) -> None:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    writer.name(obj)
    if spec.get("priority") is not None:
        writer.field("Priority", spec["priority"])
    writer.present(spec, [("Priority Class Name", "priorityClassName"), ("Service Account", "serviceAccountName")])
    writer.field("Node", f"{spec['nodeName']}/{status.get('hostIP', '')}" if spec.get("nodeName") else None)
    if status.get("startTime"):
        writer.field("Start Time", when(status["startTime"]))
    writer.notes(meta)
    if meta.get("deletionTimestamp"):
        writer.field("Status", f"Terminating (lasts {age(meta['deletionTimestamp'])})")
        writer.field("Termination Grace Period", f"{meta.get('deletionGracePeriodSeconds', 0)}s")
    else:
        writer.field("Status", status.get("phase", ""))


DESCRIBE = DescribeSection(_write)
