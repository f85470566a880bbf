"""Static pods from the texts of files."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apimachinery.meta import ObjectMeta
from kubeapi.core.node import Node
from kubelet.source.manifests import ManifestError, static_pod
from kubelet.source.mirrors import mirror_of, mirror_step

SEEN = "2023-11-14T22:13:20.000000Z"
MANIFEST = """
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels: {app: web}
spec:
  containers:
  - name: app
    image: app:1
"""


def read(text: str = MANIFEST, path: str = "/etc/manifests/web.yaml", node: str = "worker-1") -> Any:
    return static_pod(text.encode(), path, node, SEEN)


def document(**spec: Any) -> str:
    spec = {"containers": [{"name": "app", "image": "app:1"}], **spec}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec})


def test_a_static_pod_is_named_after_its_node_and_says_where_it_comes_from() -> None:
    pod = read()
    assert (pod.key, pod.spec.nodeName, pod.status.phase) == ("default/web-worker-1", "worker-1", "Pending")
    assert pod.annotations == {
        "kubernetes.io/config.hash": pod.metadata.uid,
        "kubernetes.io/config.seen": SEEN,
        "kubernetes.io/config.source": "file",
    }
    assert [(item.operator, item.effect) for item in pod.spec.tolerations] == [("Exists", "NoExecute")]
    assert (pod.spec.dnsPolicy, pod.spec.containers[0].imagePullPolicy) == ("ClusterFirst", "IfNotPresent")


def test_its_uid_follows_content_place_and_node() -> None:
    uid = read().metadata.uid
    assert len(uid) == 32
    assert read().metadata.uid == uid
    others = [read(MANIFEST + "    tty: true\n"), read(path="/etc/other.yaml"), read(node="w2")]
    assert len({uid, *(pod.metadata.uid for pod in others)}) == 4
    own = read(MANIFEST.replace("name: web\n", "name: web\n  uid: mine\n"))
    assert own.metadata.uid == own.annotations["kubernetes.io/config.hash"] == "mine"


def test_json_is_as_good_as_yaml() -> None:
    assert read(document()).name == "web-worker-1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "error parsing"),
        ("[]", "want one object of kind Pod"),
        ("", "want one object of kind Pod"),
        (MANIFEST.replace("kind: Pod", "kind: Job"), "want one object of kind Pod"),
        (MANIFEST.replace("name: web", "x: web"), "name is needed"),
        (MANIFEST.replace("name: web", "name: W_b"), "metadata.name"),
        (MANIFEST.replace("name: web", "name: web\n  uid: ../up"), "metadata.uid"),
        (MANIFEST.replace("name: web", "name: web\n  namespace: a/b"), "metadata.namespace"),
        (MANIFEST.replace("image: app:1", "image: [1]"), "invalid pod"),
        (document(containers=[]), "spec.containers: Required value"),
        (document(serviceAccountName="x"), "static pods may not reference serviceaccounts"),
        (document(imagePullSecrets=[{"name": "x"}]), "static pods may not reference secrets"),
        (document(volumes=[{"name": "v", "configMap": {"name": "x"}}]), "static pods may not reference configmaps"),
        (
            document(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "x"}}]),
            "static pods may not reference persistentvolumeclaims",
        ),
    ],
)
def test_what_is_no_static_pod(text: str, words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        read(text)


def test_a_mirror_is_owned_by_its_node_and_marked() -> None:
    pod = read()
    mirror = mirror_of(pod, Node(metadata=ObjectMeta(name="worker-1", uid="node-uid")))
    assert mirror.metadata.uid is None
    assert mirror.annotations == pod.annotations | {"kubernetes.io/config.mirror": pod.metadata.uid}
    (owner,) = mirror.metadata.ownerReferences or []
    assert (owner.apiVersion, owner.kind, owner.name, owner.uid, owner.controller) == (
        "v1",
        "Node",
        "worker-1",
        "node-uid",
        True,
    )
    assert mirror.spec == pod.spec
    assert "kubernetes.io/config.mirror" not in pod.annotations


def test_a_mirror_can_be_deleted_whatever_its_file_says() -> None:
    pod = read()
    pod.metadata.finalizers = ["example.com/never"]
    assert mirror_of(pod, Node(metadata=ObjectMeta(name="worker-1"))).metadata.finalizers is None
    assert pod.metadata.finalizers == ["example.com/never"]


def test_what_a_mirror_needs() -> None:
    pod = read()
    mirror = mirror_of(pod, Node(metadata=ObjectMeta(name="worker-1")))
    deleted = mirror.clone()
    deleted.metadata.deletionTimestamp = SEEN
    other = read(MANIFEST + "    tty: true\n")
    assert mirror_step(None, None) == mirror_step(pod, mirror) == "keep"
    assert mirror_step(pod, None) == "create"
    assert {mirror_step(None, mirror), mirror_step(pod, deleted), mirror_step(other, mirror)} == {"delete"}
