"""NodeRestriction: a kubelet writes its own Node, Lease, CSINode, slices and pods alone, and asks for tokens of these.
Of a claim it writes how its volume grows.

It can't label or taint its node into another role, and creates no pods but mirrors of those it runs by itself.

Source: Kubernetes documentation, "Admission Controllers: NodeRestriction".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar

from apimachinery.errors import object_not_found, quote
from apimachinery.model import Model, decode
from apimachinery.resource import Resource
from apiserver.admission._plugin import CREATE, DELETE, UPDATE, Attributes, Lookup, Plugin, refused
from apiserver.auth.authorization.authorizer import decide
from apiserver.request.info import access
from apiserver.request.user import node_of
from apiserver.storage.interface import Entry
from kubeapi.authentication.tokenrequest import TokenRequest
from kubeapi.coordination.lease import NODE_LEASES
from kubeapi.core.node import Node
from kubeapi.core.persistentvolume.model import PersistentVolume
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeapi.core.pod.lifecycle import MIRROR_ANNOTATION
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.references import api_reference, claim_name
from kubeapi.core.pod.volumes import Volume
from kubeapi.storage.csidriver import CSIDriver

M = TypeVar("M", bound=Model)

Restriction = Callable[[str, Attributes, Lookup], Awaitable[None] | None]

LABELS_OF_KUBELETS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
PREFIXES_OF_KUBELETS = ("kubelet.kubernetes.io", "node.kubernetes.io")
PREFIXES_OF_KUBERNETES = ("kubernetes.io", "k8s.io")  # so also node-restriction.kubernetes.io, made for this
ASK_FOR_AUDIENCE = "request-serviceaccounts-token-audience"
"""The verb of the right to ask for tokens of an audience that a pod does not name itself."""


def admit(attributes: Attributes, lookup: Lookup) -> Awaitable[None] | None:
    node = node_of(attributes.user)
    if node is None:
        return None
    if not node:
        raise refused(attributes, f"could not determine node from user {quote(attributes.user.name)}")
    subresource = f"/{attributes.subresource}" if attributes.subresource else ""
    restrict = RESTRICTIONS.get(f"{attributes.resource.plural}{subresource}", _refuse_subresource)
    return restrict(node, attributes, lookup)


# Pods


def _refuse_subresource(node: str, attributes: Attributes, lookup: Lookup) -> None:
    subresource = quote(attributes.subresource)
    raise refused(attributes, f"unexpected pod subresource {subresource}, only 'status' and 'eviction' are allowed")


def _pod(node: str, attributes: Attributes, lookup: Lookup) -> None:
    if attributes.operation == CREATE:
        _mirror_pod(node, attributes, lookup)
    elif attributes.operation == DELETE:
        if _stored_pod(attributes, lookup, attributes.name).field("spec.nodeName") != node:
            why = f"node {quote(node)} can only delete pods with spec.nodeName set to itself"
            raise refused(attributes, why)
    else:
        why = f"unexpected operation {quote(attributes.operation)}, node {quote(node)}"
        raise refused(attributes, f"{why} can only create and delete mirror pods")


def _mirror_pod(node: str, attributes: Attributes, lookup: Lookup) -> None:
    pod: Pod = attributes.obj
    if MIRROR_ANNOTATION not in pod.annotations:
        why = f"pod does not have {quote(MIRROR_ANNOTATION)} annotation, node {quote(node)} can only create mirror pods"
        raise refused(attributes, why)
    if pod.spec.nodeName != node:
        raise refused(attributes, f"node {quote(node)} can only create pods with spec.nodeName set to itself")
    _owned_by_node(node, attributes, lookup)
    if kind := api_reference(pod):
        raise refused(attributes, f"node {quote(node)} can not create pods that reference {kind}")


def _owned_by_node(node: str, attributes: Attributes, lookup: Lookup) -> None:
    owners = attributes.obj.metadata.ownerReferences or []
    only = f"node {quote(node)} can only create pods with"
    if len(owners) > 1:
        raise refused(attributes, f"{only} a single owner reference set to itself")
    if not owners or (owners[0].apiVersion, owners[0].kind, owners[0].name) != ("v1", "Node", node):
        raise refused(attributes, f"{only} an owner reference set to itself")
    owner = owners[0]
    if not owner.controller:
        raise refused(attributes, f"{only} a controller owner reference set to itself")
    if owner.blockOwnerDeletion:
        raise refused(attributes, f"node {quote(node)} must not set blockOwnerDeletion on an owner reference")
    entry = lookup.storage.latest(lookup.resource("nodes"), "", node)
    if entry is None:
        raise object_not_found("nodes", "", node)
    uid = decode(Node, entry.value).metadata.uid
    if owner.uid != uid:
        raise refused(attributes, f"node {node} UID mismatch: expected {owner.uid} got {uid}")


def _pod_status(node: str, attributes: Attributes, lookup: Lookup) -> None:
    old: Pod = attributes.old
    new: Pod = attributes.obj
    if old.spec.nodeName != node:
        why = f"node {quote(node)} can only update pod status for pods with spec.nodeName set to itself"
        raise refused(attributes, why)
    if old.labels != new.labels:
        raise refused(attributes, f"node {quote(node)} cannot update labels through pod status")
    if (old.status.resourceClaimStatuses or []) != (new.status.resourceClaimStatuses or []):
        raise refused(attributes, f"node {quote(node)} cannot update resource claim statues")  # upstream's spelling


def _eviction(node: str, attributes: Attributes, lookup: Lookup) -> None:
    if _stored_pod(attributes, lookup, attributes.name).field("spec.nodeName") != node:
        raise refused(attributes, f"node {node} can only evict pods with spec.nodeName set to itself")


def _stored_pod(attributes: Attributes, lookup: Lookup, name: str) -> Entry:
    """Raises: NotFound."""
    entry = lookup.storage.latest(lookup.resource("pods"), attributes.namespace, name)
    if entry is None:
        raise object_not_found("pods", "", name)
    return entry


# Nodes


def _node(node: str, attributes: Attributes, lookup: Lookup) -> None:
    if attributes.name != node:
        raise refused(attributes, f"node {quote(node)} is not allowed to modify node {quote(attributes.name)}")
    if attributes.operation == CREATE:
        _new_node(node, attributes)
    elif attributes.operation == UPDATE:
        _changed_node(node, attributes)


def _new_node(node: str, attributes: Attributes) -> None:
    obj: Node = attributes.obj
    if obj.spec.configSource is not None:
        raise refused(attributes, f"node {quote(node)} is not allowed to create pods with a non-nil configSource")
    if labels := forbidden_labels(obj.labels):
        raise refused(attributes, f"node {quote(node)} is not allowed to set the following labels: {', '.join(labels)}")


def _changed_node(node: str, attributes: Attributes) -> None:
    old: Node = attributes.old
    new: Node = attributes.obj
    if new.spec.configSource is not None and new.spec.configSource != old.spec.configSource:
        why = f"node {quote(node)} is not allowed to update configSource to a new non-nil configSource"
        raise refused(attributes, why)
    if (old.spec.taints or []) != (new.spec.taints or []):
        raise refused(attributes, f"node {quote(node)} is not allowed to modify taints")
    if labels := forbidden_labels(_changed_labels(old.labels, new.labels)):
        raise refused(attributes, f"is not allowed to modify labels: {', '.join(labels)}")


def _changed_labels(old: Mapping[str, str], new: Mapping[str, str]) -> set[str]:
    """Returns the keys of labels that were added, changed or removed."""
    return {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


def forbidden_labels(keys: Iterable[str]) -> list[str]:
    """Returns those labels that a node may not set itself, sorted: Kubernetes' own but for what kubelets report."""
    return sorted(key for key in keys if not _is_free(key))


def _is_free(key: str) -> bool:
    prefix = key.rpartition("/")[0]
    if not _within(prefix, PREFIXES_OF_KUBERNETES):
        return True
    return key in LABELS_OF_KUBELETS or _within(prefix, PREFIXES_OF_KUBELETS)


def _within(prefix: str, domains: Iterable[str]) -> bool:
    return any(prefix == domain or prefix.endswith(f".{domain}") for domain in domains)


def _lease(node: str, attributes: Attributes, lookup: Lookup) -> None:
    if attributes.namespace != NODE_LEASES:
        raise refused(attributes, f"can only access leases in the {quote(NODE_LEASES)} system namespace")
    _own_name(node, attributes, "node lease")


def _csi_node(node: str, attributes: Attributes, lookup: Lookup) -> None:
    _own_name(node, attributes, "CSINode")


def _own_name(node: str, attributes: Attributes, what: str) -> None:
    if attributes.name != node:
        raise refused(attributes, f"can only access {what} with the same name as the requesting node")


# Claims


def _claim_status(node: str, attributes: Attributes, lookup: Lookup) -> None:
    """A kubelet writes what it has done to grow a volume."""
    old, new = _but_for_growth(attributes.old), _but_for_growth(attributes.obj)
    if old != new:
        why = "is not allowed to update fields other than status.quantity and status.conditions"  # upstream's words
        raise refused(attributes, f"node {quote(node)} {why}")


def _but_for_growth(claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
    copy = claim.clone()
    copy.metadata.resourceVersion = None
    status = copy.status
    status.capacity = status.conditions = status.allocatedResources = status.allocatedResourceStatuses = None
    return copy


# Devices


def _slice(node: str, attributes: Attributes, lookup: Lookup) -> None:
    """Other requests concern one slice, which the Node authorizer knows; a deletion may be of many."""
    verbs = {CREATE: ("create", attributes.obj), DELETE: ("delete", attributes.old)}
    verb, obj = verbs.get(attributes.operation, ("", None))
    if obj is not None and obj.spec.nodeName != node:
        raise refused(attributes, f"can only {verb} ResourceSlice with the same NodeName as the requesting node")


# Tokens


async def _token(node: str, attributes: Attributes, lookup: Lookup) -> None:
    """A token is bound to a pod of the node, and meant for an audience that the pod or the driver of a volume names."""
    request: TokenRequest = attributes.obj
    bound = request.spec.boundObjectRef
    if bound is None or (bound.apiVersion, bound.kind) != ("v1", "Pod") or not bound.name:
        raise refused(attributes, "node requested token not bound to a pod")
    if not bound.uid:
        raise refused(attributes, "node requested token with a pod binding without a uid")
    pod = decode(Pod, _stored_pod(attributes, lookup, bound.name).value)
    if bound.uid != pod.metadata.uid:
        why = f"the UID in the bound object reference ({bound.uid}) does not match the UID in record."
        raise refused(attributes, f"{why} The object might have been deleted and then recreated")
    if pod.spec.nodeName != node:
        raise refused(attributes, "node requested token bound to a pod scheduled on a different node")
    audiences = request.spec.audiences or [""]
    if len(audiences) > 1:
        raise refused(attributes, "node may only request 0 or 1 audiences")
    named = audiences[0] in _audiences(pod) or audiences[0] in _driver_audiences(pod, lookup)
    if not named and not await _may_ask(attributes, lookup, audiences[0]):
        user = attributes.user.name
        why = f"audience {quote(audiences[0])} not found in pod spec volume,"
        raise refused(attributes, f"{why} {user} is not authorized to request tokens for this audience")


def _audiences(pod: Pod) -> set[str]:
    """Returns the audiences of the pod's projected tokens; "" is that of the API server."""
    projected = (volume.projected for volume in pod.spec.volumes or () if volume.projected is not None)
    sources = (source.serviceAccountToken for volume in projected for source in volume.sources or ())
    return {source.audience or "" for source in sources if source is not None}


def _driver_audiences(pod: Pod, lookup: Lookup) -> set[str]:
    """Returns the audiences of the tokens that the storage drivers of the pod's volumes get."""
    audiences = set[str]()
    for volume in pod.spec.volumes or ():
        name = volume.csi.driver if volume.csi is not None else _driver_of_claim(pod, volume, lookup)
        driver = _stored(CSIDriver, lookup, lookup.resource("csidrivers", "storage.k8s.io"), "", name)
        audiences |= {request.audience for request in driver.spec.tokenRequests or ()} if driver is not None else set()
    return audiences


def _driver_of_claim(pod: Pod, volume: Volume, lookup: Lookup) -> str:
    """Returns "" for a volume that is not a driver's."""
    claims, volumes = lookup.resource("persistentvolumeclaims"), lookup.resource("persistentvolumes")
    claim = _stored(PersistentVolumeClaim, lookup, claims, pod.namespace, claim_name(pod.name, volume))
    bound = _stored(PersistentVolume, lookup, volumes, "", (claim.spec.volumeName or "") if claim is not None else "")
    return bound.spec.csi.driver if bound is not None and bound.spec.csi is not None else ""


def _stored(model: type[M], lookup: Lookup, resource: Resource[Any], namespace: str, name: str) -> M | None:
    entry = lookup.storage.latest(resource, namespace, name) if name else None
    return decode(model, entry.value) if entry is not None else None


async def _may_ask(attributes: Attributes, lookup: Lookup, audience: str) -> bool:
    request = access(ASK_FOR_AUDIENCE, audience, attributes.name, version="v1", namespace=attributes.namespace)
    return (await decide(lookup.authorizer, attributes.user, request)).allowed


RESTRICTIONS: dict[str, Restriction] = {
    "pods": _pod,
    "pods/status": _pod_status,
    "pods/eviction": _eviction,
    "nodes": _node,
    "nodes/status": _node,
    "serviceaccounts/token": _token,
    "leases": _lease,
    "csinodes": _csi_node,
    "persistentvolumeclaims/status": _claim_status,
    "resourceslices": _slice,
}
RESOURCES = (
    *("pods", "pods/status", "pods/eviction", "pods/binding", "pods/ephemeralcontainers", "pods/resize"),
    *("nodes", "nodes/status", "serviceaccounts/token", "leases.coordination.k8s.io", "csinodes.storage.k8s.io"),
    *("persistentvolumeclaims/status", "resourceslices.resource.k8s.io"),
)
ADMISSION = Plugin("NodeRestriction", frozenset({CREATE, UPDATE, DELETE}), frozenset(RESOURCES), mutate=admit)
