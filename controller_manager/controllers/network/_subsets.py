"""Computes the Endpoints object of a Service. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from apimachinery.meta import ObjectMeta
from controller_manager.controllers.network._endpointpods import (
    family_of,
    hostname_of,
    is_headless,
    pod_addresses,
    ports_behind,
)
from controller_manager.podstate import is_ready
from kubeapi.core._references import ObjectReference
from kubeapi.core.endpoints import EndpointAddress, EndpointPort, Endpoints, EndpointSubset
from kubeapi.core.pod.model import Pod
from kubeapi.core.service.headless import HEADLESS_LABEL
from kubeapi.core.service.model import Service

MOST_ADDRESSES = 1000
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY_LABEL = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"

_Port = tuple[str, int, str, str]
"""(name, number, protocol, appProtocol)."""


def wanted_endpoints(service: Service, pods: Iterable[Pod], current: Endpoints | None) -> Endpoints:
    """Returns a new object, or the current one as it should be."""
    subsets, truncated = compute_subsets(service, pods)
    annotations = dict(current.annotations) if current is not None else {}
    annotations.pop(OVER_CAPACITY, None)
    if truncated:
        annotations[OVER_CAPACITY] = "truncated"
    labels = dict(service.labels) | {MANAGED_BY_LABEL: MANAGER}
    labels.pop(HEADLESS_LABEL, None)
    if is_headless(service):
        labels[HEADLESS_LABEL] = ""
    plain = ObjectMeta(name=service.name, namespace=service.namespace)
    metadata = current.metadata.clone() if current is not None else plain
    metadata.labels, metadata.annotations = labels, annotations or None
    return Endpoints(metadata=metadata, subsets=subsets or None)


def compute_subsets(service: Service, pods: Iterable[Pod]) -> tuple[list[EndpointSubset], bool]:
    """Returns the subsets, in a canonical order, and whether addresses were left out.

    Ports that the same addresses have share a subset, so an address may be in several. Ready addresses come first when
    there are more than MOST_ADDRESSES.
    """
    unready_too = bool(service.spec.publishNotReadyAddresses)
    family = (service.spec.ipFamilies or ["IPv4"])[0]
    addresses: list[tuple[bool, str, list[_Port], EndpointAddress]] = []
    for pod in pods:
        if pod.metadata.deletionTimestamp is not None and not unready_too:
            continue
        ports = _ports_of(service, pod)
        address = next((each for each in pod_addresses(pod) if family_of(each) == family), None)
        if address is None or (not ports and not (is_headless(service) and not service.spec.ports)):
            continue
        addresses.append((not (unready_too or is_ready(pod)), address, ports, _address(service, pod, address)))
    addresses.sort(key=lambda item: item[:3])
    published = addresses[:MOST_ADDRESSES]
    indices_by_port: dict[_Port | None, list[int]] = {}  # where the addresses of each port stand in `published`
    for index, (_, _, ports, _) in enumerate(published):
        for port in ports or (None,):
            indices_by_port.setdefault(port, []).append(index)
    ports_by_indices: dict[tuple[int, ...], list[_Port]] = {}
    for port, places in indices_by_port.items():
        ports_by_indices.setdefault(tuple(places), []).extend([] if port is None else [port])
    subsets = []
    for indices, ports in sorted(ports_by_indices.items(), key=lambda item: sorted(item[1])):
        members = [published[index] for index in indices]
        subsets.append(
            EndpointSubset(
                addresses=[endpoint for unready, _, _, endpoint in members if not unready] or None,
                notReadyAddresses=[endpoint for unready, _, _, endpoint in members if unready] or None,
                ports=_listed(sorted(ports)),
            )
        )
    return subsets, len(addresses) > len(published)


def _address(service: Service, pod: Pod, address: str) -> EndpointAddress:
    target = ObjectReference(kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.metadata.uid)
    return EndpointAddress(ip=address, hostname=hostname_of(pod, service), nodeName=pod.spec.nodeName, targetRef=target)


def _ports_of(service: Service, pod: Pod) -> list[_Port]:
    return [(p.name or "", number, p.protocol, p.appProtocol or "") for p, number in ports_behind(service, pod)]


def _listed(ports: Iterable[_Port]) -> list[EndpointPort] | None:
    return [
        EndpointPort(name=name or None, port=number, protocol=protocol, appProtocol=app or None)
        for name, number, protocol, app in ports
    ] or None
