"""In-place resize: what a pod's containers are granted of this node, and how far that is carried out. Pure.

Both stand in the pod's status (`allocatedResources`, `resources`, conditions), where a restarted kubelet finds them.

Source: Kubernetes documentation, "Resize CPU and Memory Resources assigned to Containers"; messages as upstream's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from apimachinery.conditions import get_condition
from apimachinery.model import to_dict
from kubeapi.core.pod.lifecycle import is_sidecar
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container, ResourceRequirements
from kubeapi.core.pod.status import PodCondition
from kubelet.container.spec import api_statuses
from kubelet.runtime.interface import PodRuntimeStatus

Change = Literal["none", "update", "restart"]

PENDING, IN_PROGRESS = "PodResizePending", "PodResizeInProgress"
RESIZE_CONDITIONS = (PENDING, IN_PROGRESS)
DEFERRED, INFEASIBLE = "Deferred", "Infeasible"
ERROR = "Error"

RESOURCES = ("cpu", "memory")


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why the node does not grant what the pod of this generation asks for: not now (Deferred), or never."""

    reason: str
    message: str
    generation: int | None = None


@dataclass(slots=True)
class Allocation:
    """`granted`: by container name, what the node has set aside. `actuated`: by container id, what it runs with.

    `generation` is the pod's when `granted` was changed last; `error` says why that could not be carried out yet.
    """

    granted: dict[str, ResourceRequirements] = field(default_factory=dict)
    actuated: dict[str, ResourceRequirements] = field(default_factory=dict)
    refusal: Refusal | None = None
    in_progress: bool = False
    generation: int | None = None
    error: str = ""

    def conditions(self) -> list[PodCondition]:
        """Returns the conditions that show a resize; none when there is no resize."""
        conditions = []
        if self.refusal is not None:
            refusal = self.refusal
            conditions.append(_condition(PENDING, refusal.generation, refusal.reason, refusal.message))
        if self.in_progress:
            conditions.append(_condition(IN_PROGRESS, self.generation, ERROR if self.error else "", self.error))
        return conditions


def _condition(type: str, generation: int | None, reason: str, message: str) -> PodCondition:
    return PodCondition(
        type=type, status="True", observedGeneration=generation, reason=reason or None, message=message or None
    )


def recalled_allocation(pod: Pod) -> Allocation:
    """Reads from the pod's status what was granted before; a pod that never ran is granted what its spec asks for."""
    allocation, reported = Allocation(), api_statuses(pod)
    for container in resizable(pod):
        status = reported.get(container.name)
        granted = container.resources
        if status is not None and status.resources is not None:
            requests = status.allocatedResources or status.resources.requests
            granted = granted.model_copy(update={"limits": status.resources.limits, "requests": requests})
            if status.containerID:
                allocation.actuated[status.containerID.rpartition("/")[2]] = status.resources
        allocation.granted[container.name] = granted
    pending = get_condition(pod.status.conditions, PENDING)
    if pending is not None:
        allocation.refusal = Refusal(pending.reason or "", pending.message or "", pending.observedGeneration)
    progress = get_condition(pod.status.conditions, IN_PROGRESS)
    if progress is not None:
        allocation.in_progress, allocation.generation = True, progress.observedGeneration
        allocation.error = (progress.message or "") if progress.reason == ERROR else ""
    return allocation


def resizable(pod: Pod) -> Iterator[Container]:
    """Containers that run as long as the pod: regular ones and sidecars."""
    yield from pod.spec.containers
    yield from (container for container in pod.spec.initContainers or () if is_sidecar(container))


def desired(pod: Pod) -> dict[str, ResourceRequirements]:
    return {container.name: container.resources for container in resizable(pod)}


def is_granted(pod: Pod, granted: Mapping[str, ResourceRequirements]) -> bool:
    """Tells whether the pod asks for just what it has."""
    return all(not _changed(resources, granted.get(name)) for name, resources in desired(pod).items())


def granted_pod(pod: Pod, granted: Mapping[str, ResourceRequirements]) -> Pod:
    """The pod with what it was granted in place of what it asks for; the pod itself where that is the same."""
    if is_granted(pod, granted):
        return pod
    changes = {"containers": [_granted(container, granted) for container in pod.spec.containers]}
    if pod.spec.initContainers:
        changes["initContainers"] = [
            _granted(container, granted) if is_sidecar(container) else container
            for container in pod.spec.initContainers
        ]
    return pod.model_copy(update={"spec": pod.spec.model_copy(update=changes)})


def _granted(container: Container, granted: Mapping[str, ResourceRequirements]) -> Container:
    return container.model_copy(update={"resources": granted.get(container.name, container.resources)})


def change_of(container: Container, actuated: ResourceRequirements | None) -> Change:
    """Decides how a running container gets its resources.

    A container whose present resources are not known is updated, which is harmless, but not restarted.
    """
    if actuated is None:
        return "update"
    changed = _changed(container.resources, actuated)
    policies = container.resizePolicy or ()
    if any(item.resourceName in changed and item.restartPolicy == "RestartContainer" for item in policies):
        return "restart"
    return "update" if changed else "none"


def _changed(one: ResourceRequirements, other: ResourceRequirements | None) -> set[str]:
    """Returns the names of the resources in which the two differ."""
    if other is None:
        return set(RESOURCES)
    if one is other:
        return set()
    pairs = ((one.limits or {}, other.limits or {}), (one.requests or {}, other.requests or {}))
    return {name for name in RESOURCES for mine, theirs in pairs if mine.get(name) != theirs.get(name)}


def is_carried_out(pod: Pod, status: PodRuntimeStatus | None, allocation: Allocation) -> bool:
    """Tells whether all that runs does so with what was granted; the rest will be started with it."""
    for container in resizable(pod):
        newest = status.container(container.name) if status is not None else None
        if newest is not None and newest.state == "running":
            granted = allocation.granted.get(container.name, container.resources)
            if _changed(granted, allocation.actuated.get(newest.id)):
                return False
    return True


def event_message(what: str, pod: Pod, generation: int | None, error: str = "") -> str:
    """Makes an event's text about a resize: the resources of all containers, as JSON."""
    summary: dict[str, Any] = {}
    for name, containers in (("initContainers", pod.spec.initContainers), ("containers", pod.spec.containers)):
        if containers:
            summary[name] = [{"name": item.name, "resources": _ordered(item.resources)} for item in containers]
    summary["generation"] = generation or 0
    if error:
        summary["error"] = error
    return f"Pod resize {what}: {json.dumps(summary, separators=(',', ':'))}"


def _ordered(resources: ResourceRequirements) -> dict[str, Any]:
    fields = to_dict(resources)
    return {key: dict(sorted(value.items())) if isinstance(value, dict) else value for key, value in fields.items()}
