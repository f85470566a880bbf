"""Plans the EndpointSlices that show Endpoints which someone keeps by hand. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from apimachinery.meta import ObjectMeta
from apimachinery.names import suffix_of
from controller_manager.controllers.network._endpointpods import family_of
from controller_manager.controllers.network._slices import MANAGED_BY_LABEL, Plan
from controller_manager.controllers.network._subsets import MANAGED_BY_LABEL as ENDPOINTS_MANAGED_BY
from controller_manager.controllers.network._triggertime import TRIGGER_TIME
from kubeapi.core.endpoints import EndpointAddress, Endpoints, EndpointSubset
from kubeapi.discovery.endpointslice import (
    SERVICE_NAME_LABEL,
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
)
from kubeclient.controller import owner_reference

MIRROR = "endpointslicemirroring-controller.k8s.io"
SKIP_LABEL = "endpointslice.kubernetes.io/skip-mirror"
MOST_ADDRESSES = 1000  # of a subset; a slice has no more
_OWN_ANNOTATIONS = frozenset(("kubectl.kubernetes.io/last-applied-configuration", TRIGGER_TIME))
_LEADER_ANNOTATION = "control-plane.alpha.kubernetes.io/leader"


def is_mirrored(endpoints: Endpoints) -> bool:
    """Tells whether Endpoints are about a Service: some are locks, and some have slices that are kept as well."""
    return endpoints.labels.get(SKIP_LABEL) != "true" and _LEADER_ANNOTATION not in endpoints.annotations


def plan_mirror(endpoints: Endpoints, existing: Sequence[EndpointSlice]) -> tuple[Plan, int]:
    """Returns the writes, and how many addresses are too many to be shown. `existing` are the slices of before."""
    plan, skipped = Plan(), 0
    wanted: dict[str, EndpointSlice] = {}
    for subset in endpoints.subsets or ():
        addresses = _addresses(subset)
        skipped += max(len(addresses) - MOST_ADDRESSES, 0)
        families: dict[str, dict[str, Endpoint]] = {}
        for address, is_ready in addresses[:MOST_ADDRESSES]:
            shown = families.setdefault(family_of(address.ip), {})
            shown.setdefault(address.ip, _endpoint(address, is_ready=is_ready))
        for family, shown in families.items():
            fresh = _slice(endpoints, subset, family)
            mirror = wanted.setdefault(fresh.name, fresh)
            there = {each.addresses[0] for each in mirror.endpoints}
            mirror.endpoints += [each for ip, each in shown.items() if ip not in there]
    for each in existing:
        mirror_now = wanted.pop(each.name, None)
        if mirror_now is None:
            plan.delete.append(each)
        elif _content(each) != _content(mirror_now):
            changed = each.clone()
            changed.metadata.labels, changed.metadata.annotations = mirror_now.labels, mirror_now.annotations or None
            changed.endpoints = mirror_now.endpoints
            plan.update.append(changed)
    plan.create.extend(wanted.values())
    return plan, skipped


def _addresses(subset: EndpointSubset) -> list[tuple[EndpointAddress, bool]]:
    ready, others = subset.addresses or (), subset.notReadyAddresses or ()
    return [(address, True) for address in ready] + [(address, False) for address in others]


def _content(each: EndpointSlice) -> tuple[object, ...]:
    return each.labels, each.annotations, each.endpoints


def _endpoint(address: EndpointAddress, *, is_ready: bool) -> Endpoint:
    return Endpoint(
        addresses=[address.ip],
        conditions=EndpointConditions(ready=is_ready),
        hostname=address.hostname,
        targetRef=address.targetRef,
        nodeName=address.nodeName,
    )


def _slice(endpoints: Endpoints, subset: EndpointSubset, family: str) -> EndpointSlice:
    """Makes an empty one. Its name follows from what can't change in it, so that none is made twice."""
    ports = [
        EndpointPort(name=port.name or "", protocol=port.protocol, port=port.port, appProtocol=port.appProtocol)
        for port in subset.ports or ()
    ]
    described = sorted((port.name or "", port.protocol, port.port, port.appProtocol or "") for port in ports)
    digest = hashlib.sha256(repr((endpoints.metadata.uid, described, family)).encode()).digest()
    labels = {name: value for name, value in endpoints.labels.items() if name != ENDPOINTS_MANAGED_BY}
    annotations = {name: value for name, value in endpoints.annotations.items() if name not in _OWN_ANNOTATIONS}
    metadata = ObjectMeta(
        name=f"{endpoints.name[:57]}-" + suffix_of(digest[:5]),
        generateName=f"{endpoints.name}-",
        namespace=endpoints.namespace,
        labels=labels | {SERVICE_NAME_LABEL: endpoints.name, MANAGED_BY_LABEL: MIRROR},
        annotations=annotations or None,
        ownerReferences=[owner_reference(endpoints)],
    )
    return EndpointSlice(metadata=metadata, addressType=family, endpoints=[], ports=ports)
