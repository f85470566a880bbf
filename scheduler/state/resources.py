"""Adds up what a pod asks of a node: the sum that the scheduler and the kubelet both reckon with.

Source: Kubernetes, "Resource Management for Pods and Containers" and "Sidecar Containers" (resource sharing within
containers).
"""

from __future__ import annotations

from collections.abc import Mapping

from apimachinery.conditions import get_condition
from apimachinery.quantity import byte_count, cpu_millis
from kubeapi.core.pod.amounts import add_amounts, peak_requests
from kubeapi.core.pod.lifecycle import is_sidecar
from scheduler.views.pod import Container, ContainerStatus, Pod, PodSpec, ResourceRequirements

CPU, MEMORY, EPHEMERAL_STORAGE, PODS = "cpu", "memory", "ephemeral-storage", "pods"

AMOUNT_LIMIT = 2**53
"""Amounts are cut to this (8 PiB), so that the sum over a node's pods stays within an int64."""

SCORING_DEFAULTS = {CPU: 100, MEMORY: 200 * 1024 * 1024}
"""Stands in, when nodes are compared, for a container that asks for nothing, lest all such pods go to one node."""

NO_DEFAULTS: Mapping[str, int] = {}


def amount(resource: str, quantity: str) -> int:
    """Reads millicores for cpu, else bytes or a count."""
    value = cpu_millis(quantity) if resource == CPU else byte_count(quantity)
    return min(value, AMOUNT_LIMIT)


def amounts(quantities: Mapping[str, str] | None) -> dict[str, int]:
    return {name: amount(name, quantity) for name, quantity in (quantities or {}).items()}


def pod_requests(spec: PodSpec, defaults: Mapping[str, int] = NO_DEFAULTS) -> dict[str, int]:
    """Returns amounts by resource name. `defaults` stand in for a resource that a container does not mention.

    The pod asks for the most that its containers need at one time, plus its overhead.
    """
    total = peak_requests(
        (_container_requests(container, defaults) for container in spec.containers),
        ((_container_requests(container, defaults), is_sidecar(container)) for container in spec.initContainers or ()),
    )
    if spec.resources is not None and spec.resources.requests:
        total |= amounts(spec.resources.requests)
    if spec.overhead:
        add_amounts(total, amounts(spec.overhead))
    return {name: min(value, AMOUNT_LIMIT) for name, value in total.items()}


def counted_spec(pod: Pod) -> PodSpec:
    """Returns the spec as it counts on a node: in a resize, each container with the most of what it asks for, what
    it was granted and what it runs with.

    What its node can never give does not count. Source: Kubernetes, "Resize CPU and Memory Resources".
    """
    spec, status = pod.spec, pod.status
    if not status.containerStatuses and not status.initContainerStatuses:
        return spec
    statuses = {item.name: item for item in (*(status.initContainerStatuses or ()), *(status.containerStatuses or ()))}
    pending = get_condition(status.conditions, "PodResizePending")
    refused = pending is not None and pending.reason == "Infeasible"
    changes = {"containers": [_held(item, statuses.get(item.name), refused) for item in spec.containers]}
    if spec.initContainers:
        changes["initContainers"] = [_held(item, statuses.get(item.name), refused) for item in spec.initContainers]
    return spec.model_copy(update=changes)


def _held(container: Container, status: ContainerStatus | None, refused: bool) -> Container:
    if status is None or (status.allocatedResources is None and status.resources is None):
        return container
    requested = container.resources.requests if container.resources else None
    running = status.resources.requests if status.resources else None
    most: dict[str, str] = {}
    for quantities in (None if refused else requested, status.allocatedResources, running):
        for name, quantity in (quantities or {}).items():
            if name not in most or amount(name, quantity) > amount(name, most[name]):
                most[name] = quantity
    return container.model_copy(update={"resources": ResourceRequirements(requests=most)})


def _container_requests(container: Container, defaults: Mapping[str, int]) -> dict[str, int]:
    requests = amounts(container.resources.requests if container.resources else None)
    return {**defaults, **requests} if defaults else requests
