"""A kubelet that has been taken over: what it tries with its certificate, and what it must get."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.kits.attacks import Attack, assert_repelled, perform
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually
from tests.kits.process import TOKEN

Dict = dict[str, Any]

USERS = f"""{TOKEN},admin,admin,"system:masters"
n1,system:node:n1,n1,"system:nodes"
n2,system:node:n2,n2,"system:nodes"
no-group,system:node:n1,x,"others"
no-name,jane,x,"system:nodes"
empty,system:node:,x,"system:nodes"
"""
NS = "/api/v1/namespaces/ns"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
STORAGE = "/apis/storage.k8s.io/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
UNRELATED = "no relationship found between node 'n1' and this object"
MIRROR = {"kubernetes.io/config.mirror": "h"}
CONTAINERS = [{"name": "c", "image": "i"}]


def pod(name: str, node: str, annotations: Dict | None = None, owners: list[Dict] | None = None, **spec: Any) -> Dict:
    meta = {"name": name, "annotations": annotations or {}, "ownerReferences": owners or []}
    return {"metadata": meta, "spec": {"containers": CONTAINERS, "nodeName": node, **spec}}


def secret(name: str) -> Dict:
    return {"metadata": {"name": name}, "data": {"key": "c3RvbGVu"}}


def using(name: str) -> list[Dict]:
    return [{"name": "v", "secret": {"secretName": name}}]


def claiming(name: str) -> list[Dict]:
    return [{"name": "v", "persistentVolumeClaim": {"claimName": name}}]


def volume(claim: str, secret_name: str) -> Dict:
    """A volume that is bound to a claim, and needs a Secret on the node."""
    driver = {"driver": "d.example", "volumeHandle": claim}
    return {
        "metadata": {"name": f"of-{claim}"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "claimRef": {"namespace": "ns", "name": claim},
            "csi": {**driver, "nodeStageSecretRef": {"namespace": "default", "name": secret_name}},
        },
    }


def storage_of(node: str) -> list[tuple[str, Dict]]:
    """A pod with a claim on the node, the claim's volume with its Secret, and the attachment."""
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    source = {"persistentVolumeName": f"of-{node}"}
    attached = {"attacher": "d.example", "nodeName": node, "source": source}
    return [
        (f"{NS}/persistentvolumeclaims", {"metadata": {"name": node}, "spec": claim}),
        ("/api/v1/persistentvolumes", volume(node, f"disk-{node}")),
        ("/api/v1/namespaces/default/secrets", secret(f"disk-{node}")),
        (f"{STORAGE}/volumeattachments", {"metadata": {"name": node}, "spec": attached}),
        (f"{NS}/pods", pod(f"data-{node}", node, volumes=claiming(node))),
    ]


def bound(name: str, uid: str, *audiences: str) -> Dict:
    ref = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}
    return {"spec": {"boundObjectRef": ref, "audiences": list(audiences)}}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("nodes")
    tokens = folder / "users.csv"
    tokens.write_text(USERS)
    flags = ("--authorization-mode=Node,RBAC", f"--token-auth-file={tokens}")
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, *flags) as server:
        server.make_namespace("ns")
        _fill(server)
        yield server


def _fill(server: ApiServer) -> None:
    """Two nodes with a pod each, which has a Secret and an account."""
    taint = {"key": "dedicated", "effect": "NoSchedule"}
    things = [(f"{NS}/secrets", secret(name)) for name in ("used", "others", "free")]
    things += [("/api/v1/nodes", {"metadata": {"name": name}, "spec": {"taints": [taint]}}) for name in ("n1", "n2")]
    things += [(f"{NS}/serviceaccounts", {"metadata": {"name": name}}) for name in ("robot", "boss")]
    things += [
        (f"{NS}/pods", pod("web", "n1", serviceAccountName="robot", volumes=using("used"))),
        (f"{NS}/pods", pod("db", "n2", serviceAccountName="boss", volumes=using("others"))),
        (f"{NS}/pods", pod("pending", "", volumes=using("free"))),
        (LEASES, {"metadata": {"name": "n2"}, "spec": {"holderIdentity": "n2"}}),
    ]
    things += storage_of("n1") + storage_of("n2")
    for path, body in things:
        answer = server.http.post(path, json=body)
        assert answer.status_code == 201, answer.text
    eventually(lambda: perform(server.port, Attack("", "n1", f"GET {NS}/secrets/used", 200))[0] == 200)


OWNER = [{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "UID", "controller": True}]

READS = [
    Attack("a Secret of another node's pod", "n1", f"GET {NS}/secrets/others", 403, UNRELATED),
    Attack("a Secret of a pod without a node", "n1", f"GET {NS}/secrets/free", 403, UNRELATED),
    Attack("all Secrets", "n1", "GET /api/v1/secrets", 403, "can only read namespaced object of this type"),
    Attack("all Secrets of a namespace", "n1", f"GET {NS}/secrets", 403, "No Object name found"),
    Attack("all Secrets by a watch", "n1", f"GET {NS}/secrets?watch=1", 403, "No Object name found"),
    Attack("all Secrets by the old path of watches", "n1", "GET /api/v1/watch/namespaces/ns/secrets", 403, "No Object"),
    Attack("one by the old path of watches", "n1", "GET /api/v1/watch/namespaces/ns/secrets/others", 403, UNRELATED),
    Attack("one by a selector", "n1", f"GET {NS}/secrets?fieldSelector=metadata.name%3Dothers", 403, UNRELATED),
    Attack("all but its own", "n1", f"GET {NS}/secrets?fieldSelector=metadata.name!%3Dused", 403, "No Object name"),
    Attack(
        "one by two selectors, its own last",
        "n1",
        f"GET {NS}/secrets?fieldSelector=metadata.name%3Dothers&fieldSelector=metadata.name%3Dused",
        403,
        UNRELATED,
    ),
    Attack("a write of its pod's Secret", "n1", f"PUT {NS}/secrets/used", 403, "can only read", secret("used")),
    Attack("the end of its pod's Secret", "n1", f"DELETE {NS}/secrets/used", 403, "can only read"),
    Attack("the end of all Secrets", "n1", f"DELETE {NS}/secrets", 403, "can only read"),
    Attack("a ConfigMap of nobody", "n1", f"GET {NS}/configmaps/others", 403, UNRELATED),
    Attack("another's pod", "n1", f"GET {NS}/pods/db", 403, UNRELATED),
    Attack("all pods", "n1", "GET /api/v1/pods", 403, "can only list/watch pods with spec.nodeName field selector"),
    Attack("another's pods", "n1", "GET /api/v1/pods?fieldSelector=spec.nodeName%3Dn2", 403, "can only list/watch"),
    Attack("all other pods", "n1", "GET /api/v1/pods?fieldSelector=spec.nodeName!%3Dn1", 403, "can only list/watch"),
    Attack("all nodes", "n1", "GET /api/v1/nodes", 403, "node 'n1' cannot read all nodes, only its own Node object"),
    Attack("another node", "n1", "GET /api/v1/nodes/n2", 403, "cannot read 'n2', only its own Node object"),
    Attack("another's account", "n1", f"GET {NS}/serviceaccounts/boss", 403, UNRELATED),
    Attack("a name in another case", "n1", f"GET {NS}/secrets/Used", 403, UNRELATED),
    Attack("a name with a way up", "n1", f"GET {NS}/secrets/used%2f..%2fothers", 403, "cannot read subresource"),
    Attack("a name with a NUL", "n1", f"GET {NS}/secrets/used%00", 403, UNRELATED),
]

PODS = [
    Attack("a pod", "n1", f"POST {NS}/pods", 403, 'node "n1" can only create mirror pods', pod("x", "n1")),
    Attack(
        "a pod of another's name",
        "n1",
        f"POST {NS}/pods",
        403,
        "can only create mirror pods",
        pod("db", "n1"),
    ),
    Attack(
        "a mirror pod for another node",
        "n1",
        f"POST {NS}/pods",
        403,
        "can only create pods with spec.nodeName set to itself",
        pod("x", "n2", MIRROR, OWNER),
    ),
    Attack(
        "a mirror pod that another node owns",
        "n1",
        f"POST {NS}/pods",
        403,
        "with an owner reference set to itself",
        pod("x", "n1", MIRROR, [OWNER[0] | {"name": "n2"}]),
    ),
    Attack(
        "a mirror pod of a node that was",
        "n1",
        f"POST {NS}/pods",
        403,
        "node n1 UID mismatch",
        pod("x", "n1", MIRROR, OWNER),
    ),
    Attack("a pod's spec", "n1", f"PUT {NS}/pods/web", 403, "cannot update resource", pod("web", "n1")),
    Attack("a pod's labels", "n1", f"PATCH {NS}/pods/web", 403, "cannot patch", {"metadata": {"labels": {"a": "b"}}}),
    Attack(
        "labels through the status",
        "n1",
        f"PATCH {NS}/pods/web/status",
        403,
        "cannot update labels through pod status",
        {"metadata": {"labels": {"app": "stolen"}}},
    ),
    Attack(
        "another's pod's status",
        "n1",
        f"PATCH {NS}/pods/db/status",
        403,
        "can only update pod status for pods with spec.nodeName set to itself",
        {"status": {"phase": "Failed"}},
    ),
    Attack("another's pod's end", "n1", f"DELETE {NS}/pods/db", 403, "can only delete pods with spec.nodeName set"),
    Attack("all pods' end", "n1", f"DELETE {NS}/pods", 403, "cannot deletecollection resource"),
    Attack(
        "another's pod's eviction",
        "n1",
        f"POST {NS}/pods/db/eviction",
        403,
        "node n1 can only evict pods with spec.nodeName set to itself",
        {"metadata": {"name": "db"}},
    ),
    Attack(
        "a binding to itself",
        "n1",
        f"POST {NS}/pods/pending/binding",
        403,
        'cannot create resource "pods/binding"',
        {"metadata": {"name": "pending"}, "target": {"kind": "Node", "name": "n1"}},
    ),
    Attack(
        "a shell in its pod", "n1", f"POST {NS}/pods/web/exec?command=sh", 403, 'cannot create resource "pods/exec"'
    ),
    Attack("a debug container", "n1", f"PATCH {NS}/pods/db/ephemeralcontainers", 403, "ephemeralcontainers", {}),
    Attack("a kubelet's own API", "n1", "GET /api/v1/nodes/n2/proxy/pods", 403, 'cannot get resource "nodes/proxy"'),
]

ROLE = {"node-role.kubernetes.io/control-plane": ""}
NODES = [
    Attack(
        "a role", "n1", "PATCH /api/v1/nodes/n1", 403, "not allowed to modify labels", {"metadata": {"labels": ROLE}}
    ),
    Attack(
        "a label that the administrator trusts",
        "n1",
        "PATCH /api/v1/nodes/n1",
        403,
        "is not allowed to modify labels: node-restriction.kubernetes.io/team",
        {"metadata": {"labels": {"node-restriction.kubernetes.io/team": "bank"}}},
    ),
    Attack(
        "a role through the status",
        "n1",
        "PATCH /api/v1/nodes/n1/status",
        403,
        "is not allowed to modify labels",
        {"metadata": {"labels": ROLE}},
    ),
    Attack("its taints' end", "n1", "PATCH /api/v1/nodes/n1", 403, "modify taints", {"spec": {"taints": None}}),
    Attack("another's label", "n1", "PATCH /api/v1/nodes/n2", 403, 'modify node "n2"', {"metadata": {"labels": {}}}),
    Attack("another's status", "n1", "PATCH /api/v1/nodes/n2/status", 403, 'modify node "n2"', {"status": {}}),
    Attack("a new node", "n1", "POST /api/v1/nodes", 403, 'modify node "n3"', {"metadata": {"name": "n3"}}),
    Attack(
        "a new node by apply",
        "n1",
        "PATCH /api/v1/nodes/n3?fieldManager=x",
        403,
        'modify node "n3"',
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n3"}},
        {"Content-Type": "application/apply-patch+yaml"},
    ),
    Attack("its own end", "n1", "DELETE /api/v1/nodes/n1", 403, 'cannot delete resource "nodes"'),
    Attack("all nodes' end", "n1", "DELETE /api/v1/nodes", 403, 'cannot deletecollection resource "nodes"'),
    Attack("another's lease", "n1", f"PATCH {LEASES}/n2", 403, "same name as the requesting node", {"spec": {}}),
    Attack("another's new lease", "n1", f"POST {LEASES}", 403, "same name", {"metadata": {"name": "n9"}}),
    Attack(
        "a leader's lease",
        "n1",
        "PUT /apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler",
        403,
        'can only access leases in the "kube-node-lease" system namespace',
        {"metadata": {"name": "kube-scheduler"}},
    ),
]

VOLUMES = "/api/v1/persistentvolumes"
CLAIMS = f"{NS}/persistentvolumeclaims"
DATA = [
    Attack("another's claim", "n1", f"GET {CLAIMS}/n2", 403, UNRELATED),
    Attack("another's volume", "n1", f"GET {VOLUMES}/of-n2", 403, UNRELATED),
    Attack("all volumes", "n1", f"GET {VOLUMES}", 403, "can only get individual resources of this type"),
    Attack("another's attachment", "n1", f"GET {STORAGE}/volumeattachments/n2", 403, UNRELATED),
    Attack("another volume's Secret", "n1", "GET /api/v1/namespaces/default/secrets/disk-n2", 403, UNRELATED),
    Attack("its volume", "n1", f"PATCH {VOLUMES}/of-n1", 403, "can only get individual resources", {"spec": {}}),
    Attack("its claim", "n1", f"PATCH {CLAIMS}/n1", 403, "can only get individual resources", {"spec": {}}),
    Attack("a claim's label", "n1", f"PATCH {CLAIMS}/n1/status", 403, "fields", {"metadata": {"labels": {"a": "b"}}}),
    Attack("a claim's phase", "n1", f"PATCH {CLAIMS}/n1/status", 403, "fields", {"status": {"phase": "Lost"}}),
    Attack("another's drivers", "n1", f"POST {STORAGE}/csinodes", 403, "same name", {"metadata": {"name": "n2"}}),
]

TOKENS = f"{NS}/serviceaccounts"
RIGHTS = [
    Attack("another's account's token", "n1", f"POST {TOKENS}/boss/token", 403, UNRELATED, bound("db", "x")),
    Attack("a token bound to nothing", "n1", f"POST {TOKENS}/robot/token", 403, "not bound to a pod", {"spec": {}}),
    Attack(
        "a token bound to another's pod", "n1", f"POST {TOKENS}/robot/token", 403, "UID in record", bound("db", "x")
    ),
    Attack("a token without a uid", "n1", f"POST {TOKENS}/robot/token", 403, "without a uid", bound("web", "")),
    Attack(
        "the default account of the system",
        "n1",
        "POST /api/v1/namespaces/kube-system/serviceaccounts/default/token",
        403,
        UNRELATED,
        bound("web", "x"),
    ),
    Attack("a role for itself", "n1", f"POST {RBAC}/clusterrolebindings", 403, "cannot create resource", {}),
    Attack("another's name", "n1", "GET /api/v1/nodes", 403, "cannot impersonate", None, {"Impersonate-User": "admin"}),
    Attack(
        "an approval of its own certificate",
        "n1",
        "PUT /apis/certificates.k8s.io/v1/certificatesigningrequests/x/approval",
        403,
        "certificatesigningrequests/approval",
        {},
    ),
    Attack("a node's name without its group", "no-group", f"GET {NS}/secrets/used", 403, "cannot get resource"),
    Attack("a node's group without its name", "no-name", f"GET {NS}/secrets/used", 403, "cannot get resource"),
    Attack("a node without a name", "empty", f"GET {NS}/secrets/used", 403, 'unknown node for user "system:node:"'),
]


@pytest.mark.parametrize("attack", [*READS, *PODS, *NODES, *DATA, *RIGHTS], ids=lambda attack: attack.name)
def test_a_node_does_not_get(api: ApiServer, attack: Attack) -> None:
    assert_repelled(api.port, attack)


def test_a_node_does_not_read_secrets_by_mirror_pods(api: ApiServer) -> None:
    uid = api.http.get("/api/v1/nodes/n1").json()["metadata"]["uid"]
    owners = [OWNER[0] | {"uid": uid}]
    for member, kind in (
        ({"volumes": using("others")}, "secrets"),
        ({"imagePullSecrets": [{"name": "others"}]}, "secrets"),
        ({"serviceAccountName": "boss"}, "serviceaccounts"),
    ):
        body = pod("mirror", "n1", MIRROR, owners, **member)
        says = f'node "n1" can not create pods that reference {kind}'
        assert_repelled(api.port, Attack("", "n1", f"POST {NS}/pods", 403, says, body))
    assert perform(api.port, Attack("", "n1", f"GET {NS}/secrets/others", 403))[0] == 403


def test_a_node_gets_tokens_for_the_audiences_of_its_pods_alone(api: ApiServer) -> None:
    uid = api.http.get(f"{NS}/pods/web").json()["metadata"]["uid"]
    says = 'audience "bank" not found in pod spec volume, system:node:n1 is not authorized'
    body = bound("web", uid, "bank")
    assert_repelled(api.port, Attack("", "n1", f"POST {TOKENS}/robot/token", 403, says, body))


def test_two_names_in_one_selector_show_nothing(api: ApiServer) -> None:
    selector = "metadata.name%3Dused,metadata.name%3Dothers"
    code, text = perform(api.port, Attack("", "n1", f"GET {NS}/secrets?fieldSelector={selector}", 200))
    assert (code, "c3RvbGVu" in text) == (200, False)


@pytest.mark.parametrize(
    "request_line",
    [
        f"GET {VOLUMES}/of-n1",
        f"GET {STORAGE}/volumeattachments/n1",
        "GET /api/v1/namespaces/default/secrets/disk-n1",
        f"PATCH {CLAIMS}/n1/status",
    ],
)
def test_a_node_gets_what_the_volumes_of_its_pods_need(api: ApiServer, request_line: str) -> None:
    body = {"status": {"capacity": {"storage": "1Gi"}}} if request_line.startswith("PATCH") else None
    eventually(lambda: perform(api.port, Attack("", "n1", request_line, 200, "", body))[0] == 200)


def test_a_node_loses_its_pods_secrets_with_the_pod(api: ApiServer) -> None:
    read = Attack("", "n2", f"GET {NS}/secrets/late", 403)
    for path, body in ((f"{NS}/secrets", secret("late")), (f"{NS}/pods", pod("late", "n2", volumes=using("late")))):
        assert api.http.post(path, json=body).status_code == 201
    eventually(lambda: perform(api.port, read)[0] == 200)
    assert api.http.delete(f"{NS}/pods/late?gracePeriodSeconds=0").status_code == 200
    eventually(lambda: perform(api.port, read)[0] == 403)
