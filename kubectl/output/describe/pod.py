"""Pods."""

from __future__ import annotations

from typing import Any

from kubectl.cli.command import Context
from kubectl.output.describe.generic import controlled_by, events
from kubectl.output.describe.template import container_lines, scheduling_lines
from kubectl.output.describe.volumes import volume_lines
from kubectl.output.describe.writer import Writer, age, when

Dict = dict[str, Any]


def describe_pod(context: Context, obj: Dict) -> str:
    writer = Writer()
    spec, status = obj["spec"], obj.get("status", {})
    _head(writer, obj)
    for label, key in (("Reason", "reason"), ("Message", "message")):
        if status.get(key):
            writer.field(label, status[key])
    writer.field("IP", status.get("podIP", ""))
    if ips := status.get("podIPs"):
        writer.heading("IPs")
        for ip in ips:
            writer.field("IP", ip["ip"], 1)
    else:
        writer.field("IPs", None)
    controlled_by(writer, obj)
    if status.get("nominatedNodeName"):
        writer.field("NominatedNodeName", status["nominatedNodeName"])
    container_lines(writer, spec, status, obj)
    found = {condition["type"]: condition["status"] for condition in status.get("conditions") or ()}
    if gates := spec.get("readinessGates"):
        writer.heading("Readiness Gates")
        rows = [[f"{gate['conditionType']} ", f"{found.get(gate['conditionType'], '<none>')} "] for gate in gates]
        writer.table(["Type", "Status"], rows, ruled=False)
    if found:
        writer.heading("Conditions")
        writer.table(["Type", "Status"], [[f"{name} ", f"{state} "] for name, state in found.items()], ruled=False)
    volume_lines(writer, spec)
    if status.get("qosClass"):
        writer.field("QoS Class", status["qosClass"])
    scheduling_lines(writer, spec)
    events(context, writer, obj)
    return writer.text()


def _head(writer: Writer, obj: Dict) -> None:
    meta, spec, status = obj["metadata"], obj["spec"], obj.get("status", {})
    writer.field("Name", meta["name"])
    writer.field("Namespace", meta["namespace"])
    if spec.get("priority") is not None:
        writer.field("Priority", spec["priority"])
    if spec.get("priorityClassName"):
        writer.field("Priority Class Name", spec["priorityClassName"])
    if spec.get("serviceAccountName"):
        writer.field("Service Account", spec["serviceAccountName"])
    writer.field("Node", f"{spec['nodeName']}/{status.get('hostIP', '')}" if spec.get("nodeName") else None)
    if status.get("startTime"):
        writer.field("Start Time", when(status["startTime"]))
    writer.labels("Labels", meta.get("labels"))
    writer.annotations(meta.get("annotations"))
    if meta.get("deletionTimestamp"):
        writer.field("Status", f"Terminating (lasts {age(meta['deletionTimestamp'])})")
        writer.field("Termination Grace Period", f"{meta.get('deletionGracePeriodSeconds', 0)}s")
    else:
        writer.field("Status", status.get("phase", ""))
