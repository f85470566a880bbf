"""Plans the EndpointSlices of a Service, and the fewest writes that get there. Pure.

Source: Kubernetes documentation, "EndpointSlices".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from apimachinery.meta import ObjectMeta
from apimachinery.names import suffix_of
from controller_manager.controllers.network._endpointpods import (
    family_of,
    hostname_of,
    is_headless,
    pod_addresses,
    ports_behind,
)
from controller_manager.podstate import is_ready
from kubeapi.core._references import ObjectReference
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubeapi.core.service.headless import HEADLESS_LABEL
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import (
    SERVICE_NAME_LABEL,
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    EndpointSlice,
    ForNode,
    ForZone,
)
from kubeclient.controller import owner_reference

MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
ZONE_LABEL = "topology.kubernetes.io/zone"
_OWN_LABELS = frozenset(
    (SERVICE_NAME_LABEL, MANAGED_BY_LABEL, HEADLESS_LABEL, "endpointslice.kubernetes.io/skip-mirror")
)

PortKey = tuple[tuple[str, str, int, str], ...]
"""(name, protocol, port, appProtocol) of each port, sorted."""
Identity = tuple[object, ...]


def keys_of(manager: str) -> Callable[[EndpointSlice], Iterable[str]]:
    """Returns what finds the key of a slice's Service, if it is one of this manager's slices."""

    def keys(item: EndpointSlice) -> Iterable[str]:
        return (item.service_key,) if item.labels.get(MANAGED_BY_LABEL) == manager and item.service_name else ()

    return keys


@dataclass
class Desired:
    """Holds the endpoints of one address family by their ports; `missing_nodes` kept some pods out."""

    endpoints: dict[PortKey, dict[Identity, Endpoint]] = field(default_factory=dict)
    missing_nodes: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Plan:
    create: list[EndpointSlice] = field(default_factory=list)
    update: list[EndpointSlice] = field(default_factory=list)
    delete: list[EndpointSlice] = field(default_factory=list)


def desired_endpoints(
    service: Service, pods: Iterable[Pod], node_named: Callable[[str], Node | None], family: str
) -> Desired:
    """Leaves out a pod on a node that does not exist (any more), unless unready ones are to be published."""
    desired = Desired()
    for pod in pods:
        addresses = [address for address in pod_addresses(pod) if family_of(address) == family][:1]
        if not addresses:
            continue
        node = node_named(pod.spec.nodeName or "")
        if node is None and not service.spec.publishNotReadyAddresses:
            desired.missing_nodes.add(pod.spec.nodeName or "")
            continue
        endpoint = endpoint_of(service, pod, addresses, node)
        group = desired.endpoints.setdefault(_ports_of(service, pod), {})
        group[_identity(endpoint)] = endpoint
    return desired


def endpoint_of(service: Service, pod: Pod, addresses: list[str], node: Node | None) -> Endpoint:
    zone = node.labels.get(ZONE_LABEL) if node is not None else None
    serving, terminating = is_ready(pod), pod.metadata.deletionTimestamp is not None
    return Endpoint(
        addresses=addresses,
        conditions=EndpointConditions(
            ready=bool(service.spec.publishNotReadyAddresses) or (serving and not terminating),
            serving=serving,
            terminating=terminating,
        ),
        hostname=hostname_of(pod, service),
        targetRef=ObjectReference(kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.metadata.uid),
        nodeName=pod.spec.nodeName,
        zone=zone,
        hints=_hints(service.spec.trafficDistribution, pod.spec.nodeName, zone),
    )


def _hints(distribution: str | None, node: str | None, zone: str | None) -> EndpointHints | None:
    """Returns for whom the endpoint is nearest, as the Service wants its traffic distributed.

    Source: Kubernetes documentation, "Traffic distribution".
    """
    nodes = [ForNode(name=node)] if distribution == "PreferSameNode" and node else None
    zones = [ForZone(name=zone)] if distribution and zone else None
    return EndpointHints(forNodes=nodes, forZones=zones) if nodes or zones else None


def _ports_of(service: Service, pod: Pod) -> PortKey:
    ports = ports_behind(service, pod)
    return tuple(sorted((p.name or "", p.protocol, number, p.appProtocol or "") for p, number in ports))


def _ports_in(endpoint_slice: EndpointSlice) -> PortKey:
    ports = endpoint_slice.ports or ()
    return tuple(sorted((p.name or "", p.protocol or "TCP", p.port or 0, p.appProtocol or "") for p in ports))


def _identity(endpoint: Endpoint) -> Identity:
    """Returns what makes it the same endpoint; its conditions may change in place."""
    uid = endpoint.targetRef.uid if endpoint.targetRef is not None else None
    return (*endpoint.addresses, endpoint.hostname, endpoint.nodeName, endpoint.zone, uid)


def slice_labels(service: Service) -> dict[str, str]:
    """Returns the Service's labels and our own, which win."""
    labels = {name: value for name, value in service.labels.items() if name not in _OWN_LABELS}
    if is_headless(service):
        labels[HEADLESS_LABEL] = ""
    return labels | {SERVICE_NAME_LABEL: service.name, MANAGED_BY_LABEL: MANAGER}


def plan_slices(
    service: Service,
    existing: Sequence[EndpointSlice],
    desired: Mapping[PortKey, Mapping[Identity, Endpoint]],
    family: str,
    most: int,
) -> Plan:
    """`existing` are the Service's slices of this family; `most` is the number of endpoints a slice may have.

    An endpoint stays in its slice; new ones go where something changes anyway, then where all of them fit, then into
    slices of their own. A Service without endpoints has one empty slice.
    """
    plan = Plan()
    taken = {each.name for each in existing}
    by_ports: dict[PortKey, list[EndpointSlice]] = {key: [] for key in desired}
    for each in sorted(existing, key=lambda each: each.name):
        if each.metadata.deletionTimestamp is None:
            by_ports.setdefault(_ports_in(each), []).append(each)
    labels = slice_labels(service)
    for ports, slices in by_ports.items():
        filled, fresh = _fill(slices, dict(desired.get(ports, {})), most)
        for each, endpoints in filled:
            if not endpoints:
                plan.delete.append(each)
            elif endpoints != each.endpoints or each.labels != labels:
                plan.update.append(_changed(each, endpoints, labels))
        for endpoints in fresh:
            plan.create.append(_new_slice(service, ports, endpoints, family, taken))
    while plan.create and plan.delete:  # one that is not needed any more becomes the one that is
        fresh_slice, spare = plan.create.pop(), plan.delete.pop()
        changed = _changed(spare, fresh_slice.endpoints, labels)
        changed.ports = fresh_slice.ports
        plan.update.append(changed)
    alive = [each for each in existing if each.metadata.deletionTimestamp is None]
    if not plan.create and len(plan.delete) == len(alive):
        _keep_one(plan, service, family, labels, taken)
    return plan


Contents = list[tuple[EndpointSlice, list[Endpoint]]]


def _fill(
    slices: list[EndpointSlice], left: dict[Identity, Endpoint], most: int
) -> tuple[Contents, list[list[Endpoint]]]:
    """Returns what each slice has in the end, and the contents of additional ones. Uses up `left`."""
    filled: Contents = []
    for each in slices:
        endpoints_here = [left.pop(key) for key in map(_identity, each.endpoints) if key in left]
        filled.append((each, endpoints_here[:most]))
        left.update((_identity(endpoint), endpoint) for endpoint in endpoints_here[most:])
    for each, endpoints in sorted(filled, key=lambda item: -len(item[1])):
        if endpoints != each.endpoints and endpoints:
            _move(left, endpoints, most - len(endpoints))
    fresh: list[list[Endpoint]] = []
    while left:
        fitting = [endpoints for _, endpoints in filled if 0 < len(endpoints) <= most - len(left)]
        target: list[Endpoint] = max(fitting, key=len) if fitting else []
        if not fitting:
            fresh.append(target)
        _move(left, target, most - len(target))
    return filled, fresh


def _move(left: dict[Identity, Endpoint], into: list[Endpoint], room: int) -> None:
    for key in list(left)[: max(room, 0)]:
        into.append(left.pop(key))


def _changed(each: EndpointSlice, endpoints: list[Endpoint], labels: dict[str, str]) -> EndpointSlice:
    changed = each.clone()
    changed.metadata.labels, changed.endpoints = labels, endpoints
    return changed


def _keep_one(plan: Plan, service: Service, family: str, labels: dict[str, str], taken: set[str]) -> None:
    """Keeps, or makes, one empty slice for a Service without endpoints."""
    if not plan.delete:
        plan.create.append(_new_slice(service, (), [], family, taken))
        return
    spare = plan.delete.pop(0)
    if spare.endpoints or spare.ports or spare.labels != labels:
        empty = _changed(spare, [], labels)
        empty.ports = []
        plan.update.append(empty)


def _new_slice(
    service: Service, ports: PortKey, endpoints: list[Endpoint], family: str, taken: set[str]
) -> EndpointSlice:
    metadata = ObjectMeta(
        name=_free_name(service, ports, family, taken),
        generateName=f"{service.name}-",
        namespace=service.namespace,
        labels=slice_labels(service),
        ownerReferences=[owner_reference(service)],
    )
    listed = [
        EndpointPort(name=name, protocol=protocol, port=number, appProtocol=app or None)
        for name, protocol, number, app in ports
    ]
    return EndpointSlice(metadata=metadata, addressType=family, endpoints=endpoints, ports=listed)


def _free_name(service: Service, ports: PortKey, family: str, taken: set[str]) -> str:
    """Returns the first free name of a sequence that depends on the Service alone.

    A controller whose cache is behind, or that was killed after the request, arrives at the same name again: the API
    refuses the second one, and no endpoint is in two slices.
    """
    for number in range(len(taken) + 1):
        digest = hashlib.sha256(repr((service.metadata.uid, ports, family, number)).encode()).digest()
        name = f"{service.name[:57]}-" + suffix_of(digest[:5])
        if name not in taken:
            taken.add(name)
            return name
    raise AssertionError("one of n+1 names is not among n")
