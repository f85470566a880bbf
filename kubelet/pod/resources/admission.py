"""Decides whether this node takes a pod that was bound to it. Pure.

The scheduler has checked the same, on what it knew then: two schedulers, or a nodeName set by hand, get past it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from apimachinery.conditions import is_true
from apimachinery.quantity import parse_quantity
from kubeapi.core.node import Node
from kubeapi.core.pod.amounts import add_amounts, peak_requests, raise_amounts
from kubeapi.core.pod.lifecycle import is_sidecar, is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.scheduling.nodeselection import selects
from kubeapi.core.pod.scheduling.tolerations import TaintKey, tolerated
from kubeapi.core.pod.spec import Container
from kubeapi.core.pod.status import ContainerStatus
from kubelet.container.limits import is_critical, qos_class
from kubelet.container.spec import api_statuses
from kubelet.pod.allocation import DEFERRED, INFEASIBLE, Refusal
from kubelet.pod.status.compute import Failure

MEMORY_TAINT = TaintKey("node.kubernetes.io/memory-pressure", "", "NoSchedule")
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")


def admit(pod: Pod, others: Iterable[Pod], node: Node) -> Failure | None:
    """Returns None when the pod may run beside `others`, the pods already admitted; else reason and message.

    Source: upstream's kubelet: resources, host ports, node name, node selector and affinity; the messages are its own.
    """
    active = [
        other for other in others if other.metadata.uid != pod.metadata.uid and not is_terminal(other.status.phase)
    ]
    return _pressure(pod, node) or _resources(pod, active, node) or _ports(pod, active) or _selector(pod, node)


def _pressure(pod: Pod, node: Node) -> Failure | None:
    """A node that evicts takes nobody in; one short of memory alone takes all but those who asked for none."""
    pressures = [kind for kind in PRESSURES if is_true(node.status.conditions, kind)]
    if not pressures or is_critical(pod):
        return None
    tolerant = qos_class(pod) != "BestEffort" or tolerated(pod.spec.tolerations or (), MEMORY_TAINT)
    if pressures == ["MemoryPressure"] and tolerant:
        return None
    return Failure("Evicted", f"The node had condition: [{' '.join(pressures)}]. ")


def resize_refusal(pod: Pod, others: Iterable[Pod], node: Node) -> Refusal | None:
    """Says why the node does not grant a running pod what it asks for now; None when it does."""
    allocatable, requests = node.status.allocatable or {}, pod_requests(pod)
    generation = pod.metadata.generation
    for name in ("memory", "cpu"):
        unit, capacity = _unit(name), parse_quantity(allocatable.get(name, "0"))
        if requests.get(name, 0) > capacity:
            amounts = f"{name}, requested: {int(requests[name] * unit)}, capacity: {int(capacity * unit)}"
            return Refusal(INFEASIBLE, f"Node didn't have enough capacity: {amounts}", generation)
    active = [
        other for other in others if other.metadata.uid != pod.metadata.uid and not is_terminal(other.status.phase)
    ]
    failure = _resources(pod, active, node)
    return Refusal(DEFERRED, failure.message, generation) if failure is not None else None


def pod_requests(pod: Pod, *, held: bool = False) -> dict[str, Fraction]:
    """Sums what the pod needs at most at one time: the running containers and sidecars, or an init container's turn.

    With `held`, a container counts with what it still runs with, where that is more.
    """
    reported = api_statuses(pod) if held else {}
    spec = pod.spec
    total = peak_requests(
        (_requests(container, reported) for container in spec.containers),
        ((_requests(container, reported), is_sidecar(container)) for container in spec.initContainers or ()),
    )
    if spec.resources is not None:
        total |= {name: parse_quantity(value) for name, value in (spec.resources.requests or {}).items()}
    add_amounts(total, {name: parse_quantity(value) for name, value in (spec.overhead or {}).items()})
    return total


def _requests(container: Container, reported: Mapping[str, ContainerStatus]) -> dict[str, Fraction]:
    resources = container.resources
    merged = {**(resources.limits or {}), **(resources.requests or {})}
    requests = {name: parse_quantity(value) for name, value in merged.items()}
    status = reported.get(container.name)
    if status is not None and status.resources is not None and status.resources.requests != resources.requests:
        raise_amounts(
            requests, {name: parse_quantity(value) for name, value in (status.resources.requests or {}).items()}
        )
    return requests


def _resources(pod: Pod, others: list[Pod], node: Node) -> Failure | None:
    allocatable = {name: parse_quantity(value) for name, value in (node.status.allocatable or {}).items()}
    capacity = allocatable.get("pods")
    if capacity is not None and len(others) + 1 > capacity:
        return _insufficient("pods", Fraction(1), Fraction(len(others)), capacity)
    used: dict[str, Fraction] = {}
    for other in others:
        add_amounts(used, pod_requests(other, held=True))
    for name, requested in sorted(pod_requests(pod).items()):
        available = allocatable.get(name, Fraction(0))
        if requested > 0 and used.get(name, Fraction(0)) + requested > available:
            return _insufficient(name, requested, used.get(name, Fraction(0)), available)
    return None


def _insufficient(name: str, requested: Fraction, used: Fraction, capacity: Fraction) -> Failure:
    unit = _unit(name)
    requested, used, capacity = requested * unit, used * unit, capacity * unit
    message = (
        f"Node didn't have enough resource: {name}, requested: {int(requested)}, used: {int(used)}, "
        f"capacity: {int(capacity)}"
    )
    return Failure(f"OutOf{name}", message)


def _unit(name: str) -> int:
    """CPU is counted in thousandths, the rest in whole units."""
    return 1000 if name == "cpu" else 1


def _host_ports(pod: Pod) -> set[tuple[str, str, int]]:
    sidecars = [container for container in pod.spec.initContainers or () if is_sidecar(container)]
    return {
        (port.hostIP or "0.0.0.0", port.protocol, port.hostPort)
        for container in (*pod.spec.containers, *sidecars)
        for port in container.ports or ()
        if port.hostPort
    }


def _ports(pod: Pod, others: list[Pod]) -> Failure | None:
    own_ports = _host_ports(pod)
    if not own_ports:
        return None
    for other in others:
        for ip, protocol, number in _host_ports(other):
            for own_ip, own_protocol, own_number in own_ports:
                same_address = ip == own_ip or "0.0.0.0" in (ip, own_ip)
                if number == own_number and protocol == own_protocol and same_address:
                    message = "Node didn't have free ports for the requested pod ports"
                    return Failure("NodePorts", f"Predicate NodePorts failed: {message}")
    return None


def _selector(pod: Pod, node: Node) -> Failure | None:
    if selects(pod.spec.nodeSelector, pod.spec.affinity, node.name, node.labels):
        return None
    return Failure("NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector")
