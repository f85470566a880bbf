"""NodeRestriction: what a kubelet may write, and that others aren't concerned."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import orjson
import pytest

from apimachinery.errors import Forbidden, NotFound
from apimachinery.resource import Resource
from apiserver.admission._plugin import Attributes, Lookup
from apiserver.admission.noderestriction import ADMISSION, admit, forbidden_labels
from apiserver.auth.authorization.authorizer import AlwaysAllow, AlwaysDeny
from apiserver.request.user import User
from apiserver.storage.cache.table import Table
from apiserver.storage.interface import Entry
from kubeapi.authentication.tokenrequest import RESOURCE as TOKEN_REQUESTS
from kubeapi.coordination.lease import RESOURCE as LEASES
from kubeapi.core.node import RESOURCE as NODES
from kubeapi.core.persistentvolume.resource import RESOURCE as VOLUMES
from kubeapi.core.persistentvolumeclaim.resource import RESOURCE as CLAIMS
from kubeapi.core.pod.resource import RESOURCE as PODS
from kubeapi.core.serviceaccount import RESOURCE as ACCOUNTS
from kubeapi.policy.eviction import RESOURCE as EVICTIONS
from kubeapi.resource.resourceslice import RESOURCE as SLICES
from kubeapi.storage.csidriver import RESOURCE as DRIVERS
from kubeapi.storage.csinode import RESOURCE as CSI_NODES
from tests.kits.kinds import load

Dict = dict[str, Any]

N1 = User("system:node:n1", groups=("system:nodes",))
OWNER = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "uid-n1", "controller": True}


def pod(name: str = "p", *owners: Dict, node: str = "n1", mirror: bool = True, **spec: Any) -> Dict:
    annotations = {"kubernetes.io/config.mirror": "h"} if mirror else {}
    meta = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "annotations": annotations}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {**meta, "ownerReferences": list(owners)},
        "spec": {"containers": [{"name": "c", "image": "i"}], "nodeName": node, **spec},
    }


def projected(**source: Any) -> Dict:
    return {"volumes": [{"name": "v", "projected": {"sources": [source]}}]}


STORED: list[tuple[Resource[Any], Dict]] = [
    (NODES, {"kind": "Node", "apiVersion": "v1", "metadata": {"name": "n1", "uid": "uid-n1"}}),
    (PODS, pod("mine", mirror=False, **projected(serviceAccountToken={"audience": "vault", "path": "t"}))),
    (PODS, pod("plain", mirror=False, **projected(serviceAccountToken={"path": "t"}))),
    (PODS, pod("other", node="n2", mirror=False)),
    (PODS, pod("inline", mirror=False, volumes=[{"name": "v", "csi": {"driver": "d.example.com"}}])),
    (PODS, pod("claimed", mirror=False, volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}])),
    (CLAIMS, {"metadata": {"name": "c", "namespace": "ns"}, "spec": {"volumeName": "v"}}),
    (VOLUMES, {"metadata": {"name": "v"}, "spec": {"csi": {"driver": "d.example.com", "volumeHandle": "h"}}}),
    (DRIVERS, {"metadata": {"name": "d.example.com"}, "spec": {"tokenRequests": [{"audience": "disks"}]}}),
]


class Cache:
    """The objects that the plugin looks up."""

    def latest(self, resource: Resource[Any], namespace: str, name: str) -> Entry | None:
        table = Table(resource)
        for stored, document in STORED:
            meta = document["metadata"]
            if (stored.plural, meta.get("namespace", ""), meta["name"]) == (resource.plural, namespace, name):
                return table.make_entry(table.key(namespace, name), orjson.dumps(document), 1)
        return None


def check(
    resource: Resource[Any],
    new: Dict | None = None,
    old: Dict | None = None,
    *,
    subresource: str = "",
    sent: Resource[Any] | None = None,
    name: str = "",
    namespace: str = "ns",
    user: User = N1,
    authorizer: Any = None,
) -> str:
    """Returns why the write is refused; "" if it isn't. `sent`: the kind that a subresource is sent."""
    objs = [load(sent or resource, document) if document is not None else None for document in (new, old)]
    name = name or ((new or old) or {})["metadata"]["name"]
    operation = "DELETE" if new is None else "CREATE" if old is None else "UPDATE"
    attributes = Attributes(operation, resource, subresource, namespace, name, *objs, user)
    assert ADMISSION.concerns(resource, subresource, operation)
    kinds = {(item.group, item.plural): item for item in (NODES, PODS, CLAIMS, VOLUMES, DRIVERS)}
    try:
        waiting = admit(attributes, Lookup(Cache(), kinds, authorizer or AlwaysDeny(), None))  # type: ignore[arg-type]
        if waiting is not None:
            asyncio.run(_ended(waiting))
    except Forbidden as error:
        return str(error).partition(" is forbidden: ")[2]
    return ""


async def _ended(waiting: Awaitable[None]) -> None:
    await waiting


def token(uid: str = "uid-mine", name: str = "mine", *audiences: str, **bound: Any) -> Dict:
    ref = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid, **bound}
    return {"spec": {"audiences": list(audiences), "boundObjectRef": ref}}


def node(name: str = "n1", labels: Dict | None = None, **spec: Any) -> Dict:
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": spec}


ONLY = 'node "n1" can only create pods with'
REFERS = 'node "n1" can not create pods that reference'


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (pod("p", OWNER), ""),
        (pod("p", OWNER, mirror=False), 'pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can '
         "only create mirror pods"),
        (pod("p", OWNER, node="n2"), f"{ONLY} spec.nodeName set to itself"),
        (pod("p"), f"{ONLY} an owner reference set to itself"),
        (pod("p", OWNER, OWNER), f"{ONLY} a single owner reference set to itself"),
        (pod("p", OWNER | {"name": "n2"}), f"{ONLY} an owner reference set to itself"),
        (pod("p", OWNER | {"kind": "Pod"}), f"{ONLY} an owner reference set to itself"),
        (pod("p", OWNER | {"controller": False}), f"{ONLY} a controller owner reference set to itself"),
        (pod("p", OWNER | {"blockOwnerDeletion": True}),
         'node "n1" must not set blockOwnerDeletion on an owner reference'),
        (pod("p", OWNER | {"uid": "else"}), "node n1 UID mismatch: expected else got uid-n1"),
        (pod("p", OWNER, serviceAccountName="admin"), f"{REFERS} serviceaccounts"),
        (pod("p", OWNER, imagePullSecrets=[{"name": "s"}]), f"{REFERS} secrets"),
        (pod("p", OWNER, volumes=[{"name": "v", "configMap": {"name": "m"}}]), f"{REFERS} configmaps"),
        (pod("p", OWNER, resourceClaims=[{"name": "c", "resourceClaimName": "r"}]), f"{REFERS} resourceclaims"),
        (pod("p", OWNER, volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "k"}}]),
         f"{REFERS} persistentvolumeclaims"),
        (pod("p", OWNER, volumes=[{"name": "v", "ephemeral": {}}]), f"{REFERS} persistentvolumeclaims"),
        (pod("p", OWNER, **projected(serviceAccountToken={"path": "t"})), f"{REFERS} serviceaccounts"),
        (pod("p", OWNER, **projected(clusterTrustBundle={"path": "t"})), f"{REFERS} clustertrustbundles"),
        (pod("p", OWNER, **projected(podCertificate={})), f"{REFERS} podcertificates"),
        (pod("p", OWNER, volumes=[{"name": "v", "glusterfs": {"endpoints": "e", "path": "p"}}]), f"{REFERS} endpoints"),
        (pod("p", OWNER, volumes=[{"name": "v", "hostPath": {"path": "/"}}]), ""),
    ],
)  # fmt: skip
def test_a_node_creates_mirror_pods_alone(document: Dict, why: str) -> None:
    assert check(PODS, document) == why


def test_a_node_removes_its_own_pods_alone() -> None:
    assert check(PODS, name="mine") == ""
    assert check(PODS, name="other") == 'node "n1" can only delete pods with spec.nodeName set to itself'
    eviction = {"metadata": {"name": "other"}}
    why = check(PODS, eviction, sent=EVICTIONS, subresource="eviction")
    assert why == "node n1 can only evict pods with spec.nodeName set to itself"
    assert check(PODS, {"metadata": {"name": "mine"}}, sent=EVICTIONS, subresource="eviction") == ""
    with pytest.raises(NotFound, match='pods "gone" not found'):
        check(PODS, name="gone")


def test_a_node_changes_no_pod_but_its_status() -> None:
    why = 'unexpected operation "UPDATE", node "n1" can only create and delete mirror pods'
    assert check(PODS, pod(), pod()) == why
    assert check(PODS, pod(), pod(), subresource="status") == ""
    other = pod(node="n2")
    why = 'node "n1" can only update pod status for pods with spec.nodeName set to itself'
    assert check(PODS, other, other, subresource="status") == why
    labelled = pod()
    labelled["metadata"]["labels"] = {"a": "b"}
    assert check(PODS, labelled, pod(), subresource="status") == 'node "n1" cannot update labels through pod status'
    claims = {**pod(), "status": {"resourceClaimStatuses": [{"name": "c", "resourceClaimName": "r"}]}}
    assert check(PODS, claims, pod(), subresource="status") == 'node "n1" cannot update resource claim statues'
    for subresource in ("ephemeralcontainers", "resize", "binding"):
        why = f"unexpected pod subresource \"{subresource}\", only 'status' and 'eviction' are allowed"
        assert check(PODS, pod(), pod(), subresource=subresource) == why


@pytest.mark.parametrize("subresource", ["", "status"])
def test_a_node_changes_itself_alone_and_neither_taints_nor_foreign_labels(subresource: str) -> None:
    def why(new: Dict, old: Dict) -> str:
        return check(NODES, new, old, subresource=subresource)

    taint = [{"key": "k", "effect": "NoSchedule"}]
    assert why(node(labels={"own": "x"}), node(taints=[])) == ""
    assert why(node("n2"), node("n2")) == 'node "n1" is not allowed to modify node "n2"'
    assert why(node(), node(taints=taint)) == 'node "n1" is not allowed to modify taints'
    assert why(node(taints=taint), node()) == 'node "n1" is not allowed to modify taints'
    assert why(node(labels={"k8s.io/a": "x", "node-restriction.kubernetes.io/b": "y"}), node()) == (
        "is not allowed to modify labels: k8s.io/a, node-restriction.kubernetes.io/b"
    )
    assert why(node(), node(labels={"node-role.kubernetes.io/worker": ""})) == (
        "is not allowed to modify labels: node-role.kubernetes.io/worker"
    )
    unchanged = {"node-role.kubernetes.io/worker": ""}
    assert why(node(labels=unchanged), node(labels=unchanged)) == ""
    source = {"configMap": {"name": "c", "namespace": "ns", "kubeletConfigKey": "k"}}
    assert why(node(configSource=source), node()) == (
        'node "n1" is not allowed to update configSource to a new non-nil configSource'
    )


def test_a_node_registers_itself_alone() -> None:
    assert check(NODES, node(taints=[{"key": "k", "effect": "NoSchedule"}])) == ""
    assert check(NODES, node("n2")) == 'node "n1" is not allowed to modify node "n2"'
    assert check(NODES, node(labels={"node-role.kubernetes.io/master": "", "kubernetes.io/os": "linux"})) == (
        'node "n1" is not allowed to set the following labels: node-role.kubernetes.io/master'
    )
    source = {"configMap": {"name": "c", "namespace": "ns", "kubeletConfigKey": "k"}}
    assert check(NODES, node(configSource=source)) == (
        'node "n1" is not allowed to create pods with a non-nil configSource'
    )


def test_labels_that_nodes_may_set() -> None:
    free = ["a", "example.com/a", "kubernetes.io/os", "topology.kubernetes.io/zone", "node.kubernetes.io/x"]
    free += ["kubelet.kubernetes.io/x", "x.node.kubernetes.io/y", "notkubernetes.io/a", "beta.kubernetes.io/arch"]
    others = ["kubernetes.io/role", "node-restriction.kubernetes.io/a", "a.node-restriction.kubernetes.io/b"]
    others += ["node-role.kubernetes.io/control-plane", "k8s.io/a", "x.k8s.io/a", "topology.kubernetes.io/rack"]
    assert forbidden_labels([*free, *others]) == sorted(others)


def test_leases_and_csi_nodes_have_the_nodes_name() -> None:
    own = {"metadata": {"name": "n1"}}
    other = {"metadata": {"name": "n2"}}
    assert check(LEASES, own, namespace="kube-node-lease") == ""
    why = "can only access node lease with the same name as the requesting node"
    assert check(LEASES, other, namespace="kube-node-lease") == why
    assert check(LEASES, other, other, namespace="kube-node-lease") == why
    why = 'can only access leases in the "kube-node-lease" system namespace'
    assert check(LEASES, own, namespace="kube-system") == why
    assert check(CSI_NODES, own) == ""
    assert check(CSI_NODES, other) == "can only access CSINode with the same name as the requesting node"


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (token("uid-mine", "mine", "vault"), ""),
        (token("uid-plain", "plain"), ""),
        ({"spec": {}}, "node requested token not bound to a pod"),
        (token(kind="Secret"), "node requested token not bound to a pod"),
        (token(name=""), "node requested token not bound to a pod"),
        (token(apiVersion="v2"), "node requested token not bound to a pod"),
        (token(""), "node requested token with a pod binding without a uid"),
        (token("else"), "the UID in the bound object reference (else) does not match the UID in record. The object "
         "might have been deleted and then recreated"),
        (token("uid-other", "other"), "node requested token bound to a pod scheduled on a different node"),
        (token("uid-inline", "inline", "disks"), ""),
        (token("uid-claimed", "claimed", "disks"), ""),
        (token("uid-inline", "inline", "vault"), 'audience "vault" not found in pod spec volume, system:node:n1 is not '
         "authorized to request tokens for this audience"),
        (token("uid-mine", "mine", "vault", "more"), "node may only request 0 or 1 audiences"),
        (token("uid-mine", "mine"), 'audience "" not found in pod spec volume, system:node:n1 is not authorized to '
         "request tokens for this audience"),
        (token("uid-plain", "plain", "vault"), 'audience "vault" not found in pod spec volume, system:node:n1 is not '
         "authorized to request tokens for this audience"),
    ],
)  # fmt: skip
def test_tokens_are_bound_to_pods_of_the_node_for_audiences_that_they_name(request_: Dict, why: str) -> None:
    assert check(ACCOUNTS, request_, sent=TOKEN_REQUESTS, subresource="token", name="robot") == why


def test_a_right_of_its_own_lets_a_node_ask_for_other_audiences() -> None:
    asked = token("uid-plain", "plain", "vault")
    why = check(ACCOUNTS, asked, sent=TOKEN_REQUESTS, subresource="token", name="robot", authorizer=AlwaysAllow())
    assert why == ""


def test_only_nodes_are_restricted() -> None:
    assert check(NODES, node("n2"), user=User("jane", groups=("system:masters",))) == ""
    nameless = User("system:node:", groups=("system:nodes",))
    assert check(NODES, node("n2"), user=nameless) == 'could not determine node from user "system:node:"'


def claim(meta: Dict | None = None, **status: Any) -> Dict:
    return {"metadata": {"name": "c", "namespace": "ns", **(meta or {})}, "status": {"phase": "Bound", **status}}


def test_a_node_writes_of_a_claim_how_it_grows() -> None:
    sizes = {"storage": "2Gi"}
    grown = claim(
        capacity=sizes,
        allocatedResources=sizes,
        allocatedResourceStatuses={"storage": "NodeResizeInProgress"},
        conditions=[{"type": "FileSystemResizePending", "status": "True"}],
    )
    assert check(CLAIMS, grown, claim(), subresource="status") == ""
    only = 'node "n1" is not allowed to update fields other than status.quantity and status.conditions'
    for changed in (claim(phase="Lost"), claim({"labels": {"a": "b"}}), claim(accessModes=["ReadWriteMany"])):
        assert check(CLAIMS, changed, claim(), subresource="status") == only


def test_slices_are_of_the_node() -> None:
    own, foreign = ({"metadata": {"name": "s"}, "spec": {"nodeName": name}} for name in ("n1", "n2"))
    same = "ResourceSlice with the same NodeName as the requesting node"
    assert [check(SLICES, own), check(SLICES, foreign)] == ["", f"can only create {same}"]
    assert [check(SLICES, None, own), check(SLICES, None, foreign)] == ["", f"can only delete {same}"]
    assert check(SLICES, own, own) == ""
