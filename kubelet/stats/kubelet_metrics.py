"""Makes the part of the kubelet's own /metrics that is about its pods: how many run, and how full claims are. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from kubelet.runtime.interface import PodRuntimeStatus
from kubelet.stats.exposition import Exposition, label_text
from kubelet.stats.figures import VolumeFigures


def kubelet_metrics(
    node_name: str, listed: Mapping[str, PodRuntimeStatus], claims: Iterable[tuple[str, str, VolumeFigures]]
) -> bytes:
    """`claims` are (namespace, name, figures) of the claims that are mounted here."""
    out = Exposition()
    help = "[ALPHA] The node's name. The count is always 1."
    out.add("kubelet_node_name", "gauge", help, label_text({"node": node_name}), 1)
    running = sum(1 for status in listed.values() if status.sandbox is not None and status.sandbox.ready)
    out.add("kubelet_running_pods", "gauge", "[ALPHA] Number of pods that have a running pod sandbox", "", running)
    states = Counter(container.state for status in listed.values() for container in status.containers)
    for state in ("created", "running", "exited"):
        labels = label_text({"container_state": state})
        help = "[ALPHA] Number of containers currently running"
        out.add("kubelet_running_containers", "gauge", help, labels, states[state])
    for namespace, claim, item in claims:
        labels = label_text({"namespace": namespace, "persistentvolumeclaim": claim})
        disk = item.filesystem
        for name, help, value in (
            ("capacity_bytes", "Capacity in bytes of the volume", disk.capacity_bytes),
            ("available_bytes", "Number of available bytes in the volume", disk.available_bytes),
            ("used_bytes", "Number of used bytes in the volume", disk.used_bytes),
            ("inodes", "Maximum number of inodes in the volume", disk.inodes),
            ("inodes_free", "Number of free inodes in the volume", disk.inodes_free),
            ("inodes_used", "Number of used inodes in the volume", disk.inodes - disk.inodes_free),
        ):
            out.add(f"kubelet_volume_stats_{name}", "gauge", f"[ALPHA] {help}", labels, value)
    return out.render()
