"""Finds the pod that uses more local storage than its own limits allow, whatever room the node has. Pure.

Source: Kubernetes documentation, "Local ephemeral storage"; messages as upstream's.
"""

from __future__ import annotations

from collections.abc import Iterator

from apimachinery.quantity import byte_count, format_quantity
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container
from kubelet.container.spec import find_container
from kubelet.stats.disk import DiskUse
from kubelet.stats.figures import PodFigures

RESOURCE = "ephemeral-storage"


def is_limited(pod: Pod) -> bool:
    """Tells whether the pod has any such limit, so that it is worth measuring often."""
    return bool(_limits(pod)) or any(True for _ in limited_volumes(pod))


def limited_volumes(pod: Pod) -> Iterator[tuple[str, str]]:
    """Yields (name, limit) of each emptyDir on disk that has a limit. One in memory is as large as its limit."""
    for volume in pod.spec.volumes or ():
        source = volume.emptyDir
        if source is not None and source.sizeLimit and source.medium != "Memory" and byte_count(source.sizeLimit) > 0:
            yield volume.name, source.sizeLimit


def violation(figures: PodFigures) -> str:
    """Returns the message for a pod that is over a limit; "" for one that is within all."""
    pod, used = figures.pod, {item.volume.name: item.use for item in figures.volumes if item.use is not None}
    for name, limit in limited_volumes(pod):
        if name in used and used[name].bytes > byte_count(limit):
            return f'Usage of EmptyDir volume "{name}" exceeds the limit "{limit}". '
    limits = _limits(pod)
    if not limits:
        return ""
    total = sum(limits.values())
    if figures.disk().bytes > total:
        shown = format_quantity(total, "BinarySI")
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {shown}. "
    for item in figures.containers:
        parts = (part for part in (item.writable, item.logs) if part is not None)
        name = item.status.name
        if name in limits and sum(parts, DiskUse()).bytes > limits[name]:
            container = find_container(pod, name)
            limit = container_limit(container) if container is not None else ""
            return f'Container {name} exceeded its local ephemeral storage limit "{limit}". '
    return ""


def container_limit(container: Container) -> str:
    return (container.resources.limits or {}).get(RESOURCE, "")


def _limits(pod: Pod) -> dict[str, int]:
    """Returns the bytes of the containers that have a limit."""
    return {item.name: byte_count(limit) for item in pod.spec.containers if (limit := container_limit(item))}
