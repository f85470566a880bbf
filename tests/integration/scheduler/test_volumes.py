"""Pods with claims, on a real API server; the test stands for the controllers that bind and provision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from scheduler.core.binder import BINDERS
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.schedulercluster import Cluster, cluster_in
from tests.kits.eventually import eventually
from tests.kits.process import Daemon, scheduler

MERGE = {"content-type": "application/merge-patch+json"}
SELECTED_NODE = "volume.kubernetes.io/selected-node"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"


class Storage(Cluster):
    def storage_class(self, provisioner: str) -> str:
        name = f"late-{self.namespace}"
        self._post(CLASSES, name, provisioner=provisioner, volumeBindingMode="WaitForFirstConsumer")
        return name

    def claim(self, name: str, storage_class: str) -> None:
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        self._post(f"{self.root}/persistentvolumeclaims", name, spec=spec | {"storageClassName": storage_class})

    def volume(self, name: str, storage_class: str, node: str) -> str:
        name = f"{name}-{self.namespace}"
        terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}]
        spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "local": {"path": "/data"}}
        spec |= {"storageClassName": storage_class, "nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}
        self._post("/api/v1/persistentvolumes", name, spec=spec)
        self._patch(f"/api/v1/persistentvolumes/{name}/status", {"status": {"phase": "Available"}})
        return name

    def bind(self, claim: str, volume: str) -> None:
        """Says that the claim is bound, as the controller does last."""
        path = f"{self.root}/persistentvolumeclaims/{claim}"
        self._patch(
            path,
            {
                "metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
                "spec": {"volumeName": volume},
            },
        )
        self._patch(f"{path}/status", {"status": {"phase": "Bound"}})

    def using(self, name: str, claim: str) -> None:
        self.pod(name, volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": claim}}])

    def selected(self, claim: str) -> str:
        found = self.api.http.get(f"{self.root}/persistentvolumeclaims/{claim}").json()
        return str(found["metadata"].get("annotations", {}).get(SELECTED_NODE, ""))

    def message(self, name: str) -> str:
        return str(self.condition(name).get("message", ""))

    def _post(self, path: str, name: str, **body: Any) -> None:
        answer = self.api.http.post(path, json={"metadata": {"name": name}} | body)
        assert answer.status_code == 201, answer.text

    def _patch(self, path: str, patch: dict[str, Any]) -> None:
        answer = self.api.http.patch(path, json=patch, headers=MERGE)
        assert answer.status_code == 200, answer.text


@pytest.fixture
def storage(api: ApiServer, namespace: str) -> Iterator[Storage]:
    with cluster_in(api, namespace):
        yield Storage(api, namespace)
        api.http.delete(f"{CLASSES}/late-{namespace}")


@pytest.fixture(scope="module")
def running(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with scheduler(api.url, tmp_path_factory.mktemp("scheduler"), "--leader-elect=false") as process:
        yield process


def test_a_claim_gets_a_volume_of_the_node_that_its_pod_gets(storage: Storage, running: Daemon) -> None:
    storage.node("n1")
    storage.node("n2")
    storage.using("web", "data")
    eventually(lambda: 'persistentvolumeclaim "data" not found' in storage.message("web"))
    late = storage.storage_class("kubernetes.io/no-provisioner")
    storage.claim("data", late)
    eventually(lambda: "2 node(s) didn't find available persistent volumes to bind" in storage.message("web"))
    name = storage.volume("disk", late, "n2")

    def owner() -> dict[str, Any]:
        volume = storage.api.http.get(f"/api/v1/persistentvolumes/{name}").json()
        assert not storage.get("web")["spec"].get("nodeName")
        reference: dict[str, Any] = volume["spec"].get("claimRef", {})
        return reference

    reference = eventually(owner)
    assert (reference["namespace"], reference["name"], reference["kind"]) == (
        storage.namespace,
        "data",
        "PersistentVolumeClaim",
    )
    assert reference["uid"]
    storage.bind("data", name)
    assert storage.where("web") == "n2"
    storage.using("second", "data")
    assert storage.where("second") == "n2"


def test_pods_that_wait_for_their_volumes_keep_nobody_waiting(storage: Storage, running: Daemon) -> None:
    storage.node("n1")
    late = storage.storage_class("example.com/disk")
    names = [f"data-{number}" for number in range(BINDERS + 2)]
    for name in names:
        storage.claim(name, late)
        storage.using(name, name)
    for name in names:
        assert eventually(lambda name=name: storage.selected(name)) == "n1"
    storage.pod("plain")
    assert storage.where("plain") == "n1"
    assert storage.placed().total() == 1
    storage.bind("data-0", storage.volume("made", late, "n1"))
    assert storage.where("data-0") == "n1"
    assert storage.placed().total() == 2


def test_a_provisioner_that_gives_a_claim_back_has_another_node_chosen(storage: Storage, running: Daemon) -> None:
    storage.node("n1")
    late = storage.storage_class("example.com/disk")
    storage.claim("data", late)
    storage.using("web", "data")
    assert eventually(lambda: storage.selected("data")) == "n1"
    storage.node("n2")
    assert storage.api.http.patch("/api/v1/nodes/n1", json={"spec": {"unschedulable": True}}, headers=MERGE).is_success
    storage._patch(f"{storage.root}/persistentvolumeclaims/data", {"metadata": {"annotations": {SELECTED_NODE: None}}})
    eventually(lambda: storage.selected("data") == "n2")
    eventually(lambda: 'selectedNode annotation reset for PVC "data"' in str(storage.events("web")))
