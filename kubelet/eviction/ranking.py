"""Ranks pods for eviction, and words the message of the one that goes. Pure.

Source: Kubernetes documentation, "Node-pressure Eviction", "Pod selection for kubelet eviction"; upstream's messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from apimachinery.quantity import format_quantity, parse_quantity
from kubeapi.core.pod.model import Pod
from kubelet.container.spec import find_container
from kubelet.eviction.pressure import Observation
from kubelet.eviction.thresholds import IMAGEFS_AVAILABLE, IMAGEFS_INODES, Threshold
from kubelet.pod.resources.admission import pod_requests
from kubelet.stats.disk import DiskUse
from kubelet.stats.figures import ContainerFigures, PodFigures


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pod with its use of the resource that is short; None while nobody has measured it."""

    pod: Pod
    figures: PodFigures | None
    used: int | None
    requested: Fraction

    def rank(self) -> tuple[bool, bool, int, Fraction]:
        """The lowest goes first: not measured, over its requests, of low priority, far above its requests."""
        excess = (self.used or 0) - self.requested
        return self.used is not None, excess <= 0, self.pod.spec.priority or 0, -excess


def ranked(
    pods: Iterable[Pod], figures: Mapping[str, PodFigures], threshold: Threshold, *, dedicated_imagefs: bool
) -> list[Candidate]:
    """Sorts pods in the order in which they go; `figures` are by uid."""
    return sorted(
        (_candidate(pod, figures.get(pod.metadata.uid or ""), threshold, dedicated_imagefs) for pod in pods),
        key=Candidate.rank,
    )


def _candidate(pod: Pod, figures: PodFigures | None, threshold: Threshold, dedicated: bool) -> Candidate:
    resource = threshold.kind.resource
    if resource == "pids":  # nobody requests processes: they count alone
        used = None if figures is None else sum(group.detailed.threads for group in figures.groups() if group.detailed)
        return Candidate(pod, figures, used, Fraction(0))
    if resource == "memory":
        used = figures.core().working_set_bytes if figures is not None and figures.groups() else None
        return Candidate(pod, figures, used, pod_requests(pod).get("memory", Fraction(0)))
    use = None if figures is None or not figures.measured_at else _disk(figures, threshold.signal, dedicated)
    if resource == "inodes":
        return Candidate(pod, figures, use.inodes if use else None, Fraction(0))
    requested = pod_requests(pod).get("ephemeral-storage", Fraction(0))
    return Candidate(pod, figures, use.bytes if use else None, requested)


def _disk(figures: PodFigures, signal: str, dedicated: bool) -> DiskUse:
    """Returns what the pod has on the short file system: with one for images, writable layers alone are there."""
    if not dedicated:
        return figures.disk()
    layers = [item.writable for item in figures.containers]
    others = [item.logs for item in figures.containers] + [item.use for item in figures.volumes]
    parts = layers if signal in (IMAGEFS_AVAILABLE, IMAGEFS_INODES) else others
    return sum((part for part in parts if part is not None), DiskUse())


def eviction_message(candidate: Candidate, threshold: Threshold, observed: Observation | None) -> str:
    """Says what was short, how much was left, and which containers took more than they asked for."""
    resource = threshold.kind.resource
    text = f"The node was low on resource: {resource}. "
    if observed is not None:
        least = format_quantity(threshold.least.of(Fraction(observed.capacity)), _like(resource))
        text += f"Threshold quantity: {least}, available: {_size(observed.available, resource)}. "
    for item in candidate.figures.containers if candidate.figures is not None else ():
        used = _container_use(item, resource)
        container = find_container(candidate.pod, item.status.name)
        requests = (container.resources.requests if container is not None else None) or {}
        asked = requests.get(resource, "0")
        if used is not None and used > parse_quantity(asked):
            text += (
                f"Container {item.status.name} was using {_size(used, resource)}, request is {asked}, "
                f"has larger consumption of {resource}. "
            )
    return text


def _container_use(item: ContainerFigures, resource: str) -> int | None:
    if resource == "memory":
        return item.group.core.working_set_bytes
    if resource == "ephemeral-storage":
        parts = [part for part in (item.writable, item.logs) if part is not None]
        return sum(part.bytes for part in parts) if parts else None
    return None


def _like(resource: str) -> str:
    return "BinarySI" if resource in ("memory", "ephemeral-storage") else "DecimalSI"


def _size(amount: int, resource: str) -> str:
    """Shows sizes in Ki, as kernels count them."""
    return f"{amount // 1024}Ki" if _like(resource) == "BinarySI" else str(amount)
