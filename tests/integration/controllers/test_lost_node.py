"""A node that vanishes in the middle of a StatefulSet's rollout: no ordinal runs twice, and the rollout ends."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from apimachinery.times import format_micro_time, format_time
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.eventually import eventually
from tests.kits.process import controller_manager

pytestmark = pytest.mark.slow

Dict = dict[str, Any]
MERGE = {"content-type": "application/merge-patch+json"}
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
OUT_OF_SERVICE = {"key": "node.kubernetes.io/out-of-service", "value": "gone", "effect": "NoExecute"}
CONTROLLERS = (
    "--controllers=statefulset-controller,node-lifecycle-controller,taint-eviction-controller,"
    "pod-garbage-collector-controller"
)


class Kubelets:
    """The kubelets of two nodes, as far as the API shows them. The pod w-1 belongs on the node "lost"."""

    def __init__(self, api: ApiServer, namespace: str) -> None:
        self._http = api.http
        self.pods_path = f"/api/v1/namespaces/{namespace}/pods"
        self.alive = {"safe", "lost"}
        self.began: list[tuple[str, str]] = []
        """Name and image of each pod in the order in which they became ready."""
        for name in self.alive:
            self._http.post("/api/v1/nodes", json={"metadata": {"name": name}})
            self.patch(f"/api/v1/nodes/{name}", {"spec": {"taints": None}})
            ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": format_time(time.time())}
            self.patch(f"/api/v1/nodes/{name}/status", {"status": {"conditions": [ready]}})
            assert self._http.post(LEASES, json={"metadata": {"name": name}, "spec": {}}).status_code == 201

    def patch(self, path: str, body: Dict) -> None:
        answer = self._http.patch(path, json=body, headers=MERGE)
        assert answer.status_code in (200, 404), answer.text

    def pods(self) -> dict[str, Dict]:
        return {pod["metadata"]["name"]: pod for pod in self._http.get(self.pods_path).json()["items"]}

    def work(self) -> None:
        """Tells that the living nodes live, and does what their pods need."""
        for name in self.alive:
            self.patch(f"{LEASES}/{name}", {"spec": {"renewTime": format_micro_time(time.time())}})
        for name, pod in self.pods().items():
            path, node = f"{self.pods_path}/{name}", pod["spec"].get("nodeName")
            if node is None:
                target = {"kind": "Node", "name": "lost" if name == "w-1" and "lost" in self.alive else "safe"}
                self._http.post(f"{path}/binding", json={"metadata": {"name": name}, "target": target})
            elif node not in self.alive:
                continue
            elif "deletionTimestamp" in pod["metadata"]:
                self._http.delete(path, params={"gracePeriodSeconds": "0"})
            elif pod["status"].get("phase") != "Running":
                conditions = [{"type": "Ready", "status": "True"}]
                self.patch(f"{path}/status", {"status": {"phase": "Running", "conditions": conditions}})
                self.began.append((name, pod["spec"]["containers"][0]["image"]))


def test_the_rollout_waits_for_a_pod_of_a_lost_node_and_goes_on(api: ApiServer, namespace: str, tmp_path: Path) -> None:
    kubelets = Kubelets(api, namespace)
    path = f"/apis/apps/v1/namespaces/{namespace}/statefulsets"
    labels = {"app": "w"}
    pod = {"terminationGracePeriodSeconds": 1, "containers": [{"name": "c", "image": "v1"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"serviceName": "w", "replicas": 3, "selector": {"matchLabels": labels}, "template": template}

    def until(is_so: Any, what: str) -> None:
        def look() -> bool:
            kubelets.work()
            return bool(is_so())

        eventually(look, what)

    def status() -> Dict:
        found: Dict = api.http.get(f"{path}/w").json()["status"]
        return found

    def waits_for_lost_node() -> bool:
        node = api.http.get("/api/v1/nodes/lost").json()
        taints = {(taint["key"], taint["effect"]) for taint in node["spec"].get("taints", ())}
        unreachable = ("node.kubernetes.io/unreachable", "NoExecute") in taints
        return unreachable and "deletionTimestamp" in kubelets.pods()["w-1"]["metadata"]

    quick = ("--node-monitor-period=200ms", "--node-monitor-grace-period=4s")
    with controller_manager(api.url, tmp_path, CONTROLLERS, *quick):
        assert api.http.post(path, json={"metadata": {"name": "w"}, "spec": spec}).status_code == 201
        until(lambda: status().get("readyReplicas") == 3, "all run")
        lost = kubelets.pods()["w-1"]["metadata"]["uid"]
        kubelets.alive = {"safe"}
        kubelets.patch(f"{path}/w", {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "v2"}]}}}})
        until(waits_for_lost_node, "the rollout has come to the lost node")
        assert kubelets.pods()["w-1"]["metadata"]["uid"] == lost  # it may still run, so it has no successor
        taints = api.http.get("/api/v1/nodes/lost").json()["spec"]["taints"]
        kubelets.patch("/api/v1/nodes/lost", {"spec": {"taints": [*taints, OUT_OF_SERVICE]}})
        until(lambda: status().get("updatedReplicas") == status().get("readyReplicas") == 3, "all are new")
        until(lambda: status()["currentRevision"] == status()["updateRevision"], "the rollout is over")
    assert kubelets.began[3:] == [("w-2", "v2"), ("w-1", "v2"), ("w-0", "v2")]
    assert {pod["spec"]["nodeName"] for pod in kubelets.pods().values()} == {"safe"}
