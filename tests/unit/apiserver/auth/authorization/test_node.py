"""What a kubelet may do: with its own objects, and with what its pods use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
import pytest

from apimachinery.resource import Resource
from apimachinery.selectors import parse_field_selector
from apiserver.auth.authorization.authorizer import Rules
from apiserver.auth.authorization.node import NodeAuthorizer
from apiserver.auth.authorization.node_graph import NodeGraph
from apiserver.request.info import RequestInfo, parse_request
from apiserver.request.user import User, node_of
from apiserver.storage.cache.ring import TableChange
from apiserver.storage.cache.table import Table
from apiserver.storage.interface import Entry
from kubeapi.core.persistentvolume.resource import RESOURCE as VOLUMES
from kubeapi.core.pod.resource import RESOURCE as PODS
from kubeapi.resource.resourceslice import RESOURCE as SLICES
from kubeapi.storage.volumeattachment import RESOURCE as ATTACHMENTS

Dict = dict[str, Any]

N1 = User("system:node:n1", groups=("system:nodes", "system:authenticated"))
NS = "/api/v1/namespaces/ns"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
CSI_NODES = "/apis/storage.k8s.io/v1/csinodes"
DEVICES = "/apis/resource.k8s.io/v1"
UNRELATED = "no relationship found between node 'n1' and this object"
MIRROR = {"kubernetes.io/config.mirror": "x"}


class Cache:
    """The watch cache of pods, volumes and attachments."""

    def __init__(self, *pods: Dict) -> None:
        self.tables = {resource.plural: Table(resource) for resource in (PODS, VOLUMES, ATTACHMENTS, SLICES)}
        self.revision = 0
        for pod in pods:
            self.put(pod)

    @property
    def table(self) -> Table:
        return self.tables["pods"]

    def put(self, document: Dict, resource: Resource[Any] = PODS) -> None:
        self.revision += 1
        document = {"kind": resource.kind, "apiVersion": resource.api_version, **document}
        table, meta = self.tables[resource.plural], document["metadata"]
        key = table.key(meta.get("namespace", ""), meta["name"])
        table.put(table.make_entry(key, orjson.dumps(document), self.revision))

    def remove(self, name: str, resource: Resource[Any] = PODS) -> None:
        self.revision += 1
        table = self.tables[resource.plural]
        table.remove(table.key("ns" if resource.namespaced else "", name), self.revision)

    def changed(self, resource: Resource[Any]) -> int:
        return self.tables[resource.plural].changed

    def changes(self, resource: Resource[Any], after: int) -> Iterable[TableChange]:
        return self.tables[resource.plural].ring.after(after)

    def snapshot(self, resource: Resource[Any]) -> Iterable[Entry]:
        return list(self.tables[resource.plural].entries.values())


def pod(name: str, node: str, secret: str = "", annotations: Dict | None = None, **spec: Any) -> Dict:
    volumes = [{"name": "v", "secret": {"secretName": secret}}] if secret else []
    return {
        "metadata": {"name": name, "namespace": "ns", "annotations": annotations},
        "spec": {"containers": [{"name": "c", "image": "i"}], "nodeName": node, "volumes": volumes, **spec},
    }


def asked(line: str) -> RequestInfo:
    """ "LIST /api/v1/pods?spec.nodeName=n1" as a request; the query is the field selector."""
    method, path = line.split()
    path, _, selector = path.partition("?")
    verb = {"LIST": "GET", "WATCH": "GET"}.get(method, method)
    info = parse_request(verb, path, watch=method == "WATCH")
    if not selector:
        return info
    fields = parse_field_selector(selector)
    return info._replace(fields=fields, name=fields.exact("metadata.name") or "")


PODS_OF_N1 = Cache(
    pod(
        "web",
        "n1",
        "used",
        serviceAccountName="robot",
        imagePullSecrets=[{"name": "pull"}],
        initContainers=[{"name": "i", "image": "i", "envFrom": [{"configMapRef": {"name": "settings"}}]}],
    ),
    pod(
        "db",
        "n1",
        volumes=[
            {"name": "data", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
            {"name": "more", "persistentVolumeClaim": {"claimName": "claim"}},
        ],
    ),
    pod("static", "n1", "stolen", MIRROR, serviceAccountName="admin"),
    pod("other", "n2", "others"),
    pod("waiting", "", "unbound"),
)
PODS_OF_N1.put(
    {
        **pod("devices", "n1", resourceClaims=[{"name": "a", "resourceClaimName": "named"}, {"name": "b"}]),
        "status": {"resourceClaimStatuses": [{"name": "b", "resourceClaimName": "made"}]},
    }
)
PODS_OF_N1.put({"metadata": {"name": "own"}, "spec": {"nodeName": "n1"}}, SLICES)
PODS_OF_N1.put({"metadata": {"name": "foreign"}, "spec": {"nodeName": "n2"}}, SLICES)


@pytest.mark.parametrize(
    "line",
    [
        f"GET {NS}/secrets/used",
        f"GET {NS}/secrets/pull",
        f"LIST {NS}/secrets?metadata.name=used",
        f"WATCH {NS}/secrets?metadata.name=used",
        f"GET {NS}/configmaps/settings",
        f"GET {NS}/persistentvolumeclaims/claim",
        f"GET {NS}/persistentvolumeclaims/db-data",
        f"PATCH {NS}/persistentvolumeclaims/claim/status",
        f"GET {NS}/serviceaccounts/robot",
        f"POST {NS}/serviceaccounts/robot/token",
        f"GET {NS}/pods/web",
        f"GET {NS}/pods/static",
        f"LIST {NS}/pods?metadata.name=web",
        "LIST /api/v1/pods?spec.nodeName=n1",
        "WATCH /api/v1/pods?spec.nodeName=n1,status.phase!=Failed",
        f"POST {NS}/pods",
        f"DELETE {NS}/pods/other",  # NodeRestriction sees the pod
        f"PATCH {NS}/pods/other/status",
        f"POST {NS}/pods/other/eviction",
        "POST /api/v1/nodes",
        "GET /api/v1/nodes/n1",
        "WATCH /api/v1/nodes?metadata.name=n1",
        "PATCH /api/v1/nodes/n2/status",
        f"POST {LEASES}",
        f"PUT {LEASES}/n1",
        f"DELETE {LEASES}/n1",
        f"POST {CSI_NODES}",
        f"PATCH {CSI_NODES}/n1",
        f"POST {DEVICES}/resourceslices",
        f"GET {DEVICES}/resourceslices/own",
        f"DELETE {DEVICES}/resourceslices/own",
        f"WATCH {DEVICES}/resourceslices?spec.nodeName=n1",
        f"DELETE {DEVICES}/resourceslices?spec.nodeName=n1",
        f"GET {DEVICES}/namespaces/ns/resourceclaims/named",
        f"GET {DEVICES}/namespaces/ns/resourceclaims/made",
        "LIST /api/v1/services",
        "WATCH /apis/node.k8s.io/v1/runtimeclasses",
        f"POST {NS}/events",
        "PATCH /apis/events.k8s.io/v1/namespaces/ns/events/e",
        "POST /apis/authorization.k8s.io/v1/subjectaccessreviews",
        "POST /apis/authentication.k8s.io/v1/tokenreviews",
        "GET /apis/certificates.k8s.io/v1/certificatesigningrequests/mine",
    ],
)
def test_a_node_may_do_what_a_kubelet_needs(line: str) -> None:
    decision = NodeAuthorizer(PODS_OF_N1).authorize(N1, asked(line))
    assert decision.allowed, decision.reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"GET {NS}/secrets/others", UNRELATED),
        (f"GET {NS}/secrets/unbound", UNRELATED),
        (f"GET {NS}/secrets/stolen", UNRELATED),
        (f"GET {NS}/secrets/settings", UNRELATED),
        (f"GET {NS}/configmaps/used", UNRELATED),
        ("GET /api/v1/namespaces/elsewhere/secrets/used", UNRELATED),
        ("WATCH /api/v1/namespaces/elsewhere/secrets?metadata.name=used", UNRELATED),
        (f"LIST {NS}/secrets", "No Object name found"),
        ("LIST /api/v1/secrets?metadata.name=used", "can only read namespaced object of this type"),
        (f"PUT {NS}/secrets/used", "can only read resources of this type"),
        (f"DELETE {NS}/secrets", "can only read resources of this type"),
        (f"GET {NS}/secrets/used/x", "cannot read subresource"),
        (f"LIST {NS}/persistentvolumeclaims", "can only get individual resources of this type"),
        (f"GET {NS}/persistentvolumeclaims/other", UNRELATED),
        (f"GET {NS}/persistentvolumeclaims/claim/x", "cannot get subresource"),
        (f"GET {NS}/persistentvolumeclaims/claim/status", "can only get/update/patch this type"),
        ("GET /api/v1/persistentvolumes/p", UNRELATED),
        ("GET /apis/storage.k8s.io/v1/volumeattachments/a", UNRELATED),
        (f"GET {NS}/serviceaccounts/admin", UNRELATED),
        (f"POST {NS}/serviceaccounts/admin/token", UNRELATED),
        (f"LIST {NS}/serviceaccounts", "can only create tokens for individual service accounts"),
        (f"POST {NS}/serviceaccounts", "can only create tokens for individual service accounts"),
        (f"POST {NS}/serviceaccounts/robot/x", "can only create token subresource of serviceaccount"),
        (f"GET {NS}/pods/other", UNRELATED),
        (f"LIST {NS}/pods?metadata.name=other", UNRELATED),
        ("LIST /api/v1/pods", "can only list/watch pods with spec.nodeName field selector"),
        ("LIST /api/v1/pods?spec.nodeName=n2", "can only list/watch pods with spec.nodeName field selector"),
        ("WATCH /api/v1/pods?spec.nodeName!=n1", "can only list/watch pods with spec.nodeName field selector"),
        (f"PUT {NS}/pods/web", ""),
        (f"DELETE {NS}/pods", ""),
        (f"GET {NS}/pods/web/log", ""),
        (f"POST {NS}/pods/web/exec", ""),
        (f"GET {NS}/pods/web/status", ""),
        (f"GET {NS}/pods/web/eviction", ""),
        ("DELETE /api/v1/nodes/n1", ""),
        ("GET /api/v1/nodes/n1/proxy/pods", ""),
        ("GET /api/v1/nodes/n1/status", ""),
        ("LIST /api/v1/nodes", "node 'n1' cannot read all nodes, only its own Node object"),
        ("GET /api/v1/nodes/n2", "node 'n1' cannot read 'n2', only its own Node object"),
        (f"GET {LEASES}/n2", "can only access node lease with the same name as the requesting node"),
        (f"LIST {LEASES}", "can only get, create, update, patch, or delete a node lease"),
        (
            "PUT /apis/coordination.k8s.io/v1/namespaces/kube-system/leases/n1",
            'can only access leases in the "kube-node-lease" system namespace',
        ),
        (f"GET {CSI_NODES}/n2", "can only access CSINode with the same name as the requesting node"),
        (f"LIST {CSI_NODES}", "can only get, create, update, patch, or delete a CSINode"),
        (f"GET {CSI_NODES}/n1/x", "cannot authorize CSINode subresources"),
        (f"PUT {DEVICES}/resourceslices/foreign", UNRELATED),
        (f"GET {DEVICES}/resourceslices/own/x", "cannot authorize ResourceSlice subresources"),
        (
            f"LIST {DEVICES}/resourceslices",
            "can only list/watch/deletecollection resourceslices with nodeName field selector",
        ),
        (f"GET {DEVICES}/namespaces/ns/resourceclaims/other", UNRELATED),
        (f"PATCH {DEVICES}/namespaces/ns/resourceclaims/made", "can only get individual resources of this type"),
        (f"POST {NS}/services", ""),
        ("LIST /apis/apps/v1/deployments", ""),
        ("GET /metrics", ""),
        ("GET /secrets", ""),
    ],
)
def test_a_node_may_do_nothing_else(line: str, reason: str) -> None:
    decision = NodeAuthorizer(PODS_OF_N1).authorize(N1, asked(line))
    assert (decision.verdict, decision.reason) == ("no opinion", reason)


@pytest.mark.parametrize(
    ("user", "node"),
    [
        (N1, "n1"),
        (User("system:node:", groups=("system:nodes",)), ""),
        (User("system:node:n1", groups=("system:authenticated",)), None),
        (User("system:nodes:n1", groups=("system:nodes",)), None),
        (User("n1", groups=("system:nodes",)), None),
    ],
)
def test_a_kubelet_is_known_by_its_name_and_its_group(user: User, node: str | None) -> None:
    assert node_of(user) == node


def test_who_is_no_node_is_left_to_the_next_authorizer() -> None:
    decision = NodeAuthorizer(Cache()).authorize(User("jane"), asked("GET /api/v1/nodes/n1"))
    assert (decision.verdict, decision.reason) == ("no opinion", "")
    nameless = User("system:node:", groups=("system:nodes",))
    assert NodeAuthorizer(Cache()).authorize(nameless, asked("POST /api/v1/nodes")).reason == (
        'unknown node for user "system:node:"'
    )


def test_the_rules_of_a_node_cannot_be_listed() -> None:
    authorizer = NodeAuthorizer(Cache())
    assert authorizer.rules(User("jane"), "ns") == Rules()
    assert authorizer.rules(N1, "ns").incomplete


def test_the_graph_follows_pods_as_they_come_are_bound_change_and_go() -> None:
    cache = Cache(pod("web", "", "used"))
    graph = NodeGraph(cache)

    def uses(*names: str, node: str = "n1") -> list[bool]:
        return [graph.uses(node, "secrets", "ns", name) for name in names]

    assert uses("used") == [False]
    cache.put(pod("web", "n1", "used"))
    assert uses("used") == [True]
    debug = [{"name": "d", "image": "i", "envFrom": [{"secretRef": {"name": "late"}}]}]
    cache.put(pod("web", "n1", "used", ephemeralContainers=debug))
    assert uses("used", "late") == [True, True]
    cache.put(pod("next", "n1", "used"))
    cache.remove("web")
    assert uses("used", "late") == [True, False]
    cache.remove("next")
    assert uses("used") == [False]
    cache.put(pod("next", "n2", "used"))
    assert uses("used") == [False]
    assert uses("used", node="n2") == [True]


def test_the_graph_starts_anew_when_the_cache_no_longer_has_the_changes() -> None:
    cache = Cache(pod("web", "n1", "used"))
    graph = NodeGraph(cache)
    assert graph.uses("n1", "secrets", "ns", "used")
    cache.table.load([cache.table.make_entry(cache.table.key("ns", "new"), _value(pod("new", "n1", "fresh")), 9)], 9)
    assert not graph.uses("n1", "secrets", "ns", "used")
    assert graph.uses("n1", "secrets", "ns", "fresh")


def test_a_pods_references_are_read_once() -> None:
    cache = Cache(pod("web", "n1", "used"))
    graph = NodeGraph(cache)
    assert graph.uses("n1", "secrets", "ns", "used")
    cache.put({**pod("web", "n1", "other"), "status": {"phase": "Running"}})  # the API refuses such a change
    assert graph.uses("n1", "secrets", "ns", "used")


def _value(document: Dict) -> bytes:
    return orjson.dumps({"kind": "Pod", "apiVersion": "v1", **document})


def volume(name: str, claim: str, **source: Any) -> Dict:
    claim_ref = {"claimRef": {"namespace": "ns", "name": claim}} if claim else {}
    return {"metadata": {"name": name}, "spec": {**source, **claim_ref}}


def attachment(name: str, node: str) -> Dict:
    return {"metadata": {"name": name}, "spec": {"attacher": "d", "nodeName": node, "source": {}}}


def claiming(claim: str) -> Dict:
    return {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]}


def test_a_node_reaches_the_volumes_of_its_claims_with_the_secrets_that_kubelets_need() -> None:
    cache = Cache(pod("a", "n1", **claiming("c1")), pod("b", "n2", **claiming("c2")))
    graph = NodeGraph(cache)
    secrets = {
        "nodeStageSecretRef": {"namespace": "system", "name": "stage"},
        "controllerPublishSecretRef": {"namespace": "system", "name": "attach"},
    }
    cache.put(volume("v1", "c1", csi={"driver": "d", "volumeHandle": "h", **secrets}), VOLUMES)
    cache.put(volume("v2", "c2", cephfs={"monitors": ["m"], "secretRef": {"name": "ceph"}}), VOLUMES)
    cache.put(volume("free", "", nfs={"server": "s", "path": "/"}), VOLUMES)
    assert [graph.uses("n1", "persistentvolumes", "", name) for name in ("v1", "v2", "free")] == [True, False, False]
    assert graph.uses("n1", "secrets", "system", "stage")
    assert not graph.uses("n1", "secrets", "system", "attach")
    assert not graph.uses("n2", "secrets", "system", "stage")
    assert graph.uses("n2", "secrets", "ns", "ceph")  # in the claim's namespace, as the volume names none
    cache.put(volume("v1", "c1", csi={"driver": "d", "volumeHandle": "h"}), VOLUMES)
    assert not graph.uses("n1", "secrets", "system", "stage")
    cache.put(volume("v1", "c2", csi={"driver": "d", "volumeHandle": "h"}), VOLUMES)
    assert not graph.uses("n1", "persistentvolumes", "", "v1")
    assert graph.uses("n2", "persistentvolumes", "", "v1")
    cache.remove("v1", VOLUMES)
    assert not graph.uses("n2", "persistentvolumes", "", "v1")


def test_a_node_reads_what_is_attached_to_it() -> None:
    cache = Cache()
    graph = NodeGraph(cache)
    cache.put(attachment("a1", "n1"), ATTACHMENTS)
    cache.put(attachment("a2", "n2"), ATTACHMENTS)
    assert [graph.uses("n1", "volumeattachments", "", name) for name in ("a1", "a2", "none")] == [True, False, False]
    cache.remove("a1", ATTACHMENTS)
    assert not graph.uses("n1", "volumeattachments", "", "a1")
