"""The scheduler as a process, on a real API server and etcd."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.schedulercluster import Cluster, cluster_in
from tests.kits.eventually import eventually
from tests.kits.process import Daemon, kubeconfig, scheduler

PACKING = """
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles:
- schedulerName: spreading
- schedulerName: packing
  plugins:
    multiPoint: {disabled: [{name: NodeResourcesBalancedAllocation}]}
  pluginConfig:
  - name: NodeResourcesFit
    args: {scoringStrategy: {type: MostAllocated, resources: [{name: cpu, weight: 1}]}}
"""


@pytest.fixture
def cluster(api: ApiServer, namespace: str) -> Iterator[Cluster]:
    with cluster_in(api, namespace) as made:
        yield made


@pytest.fixture(scope="module")
def running(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A scheduler that is there for all tests that don't harm it."""
    with scheduler(api.url, tmp_path_factory.mktemp("scheduler"), "--leader-elect=false") as process:
        yield process


def test_a_pod_gets_a_node_its_condition_and_its_event(cluster: Cluster, running: Daemon) -> None:
    cluster.node("n1")
    cluster.pod("web", cpu="1")
    assert cluster.where("web") == "n1"
    assert eventually(lambda: cluster.condition("web"))["status"] == "True"
    (event,) = eventually(lambda: cluster.events("web"))
    assert (event["type"], event["reason"]) == ("Normal", "Scheduled")
    assert event["message"] == f"Successfully assigned {cluster.namespace}/web to n1"
    assert event["source"]["component"] == "default-scheduler"
    assert event["involvedObject"]["uid"] == cluster.get("web")["metadata"]["uid"]


def test_a_pod_that_fits_nowhere_says_why_until_a_node_comes(cluster: Cluster, running: Daemon) -> None:
    cluster.node("small", cpu="1")
    cluster.node("tainted", taints=[{"key": "a", "value": "b", "effect": "NoSchedule"}])
    cluster.pod("big", cpu="2")
    message = (
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s). "
        "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    )
    condition = eventually(lambda: cluster.condition("big"))
    assert (condition["status"], condition["reason"], condition["message"]) == ("False", "Unschedulable", message)
    assert condition["lastTransitionTime"]
    owners = [(e["manager"], e.get("subresource")) for e in cluster.get("big")["metadata"]["managedFields"]]
    assert ("kube-scheduler", "status") in owners
    (event,) = eventually(lambda: cluster.events("big"))
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "FailedScheduling", message)
    cluster.node("large", cpu="8")
    assert cluster.where("big") == "large"


def test_without_nodes_pods_wait_for_one(cluster: Cluster, running: Daemon) -> None:
    cluster.pod("web")
    assert eventually(lambda: cluster.condition("web"))["message"] == "no nodes available to schedule pods"
    cluster.node("n1")
    assert cluster.where("web") == "n1"


def test_a_cluster_is_filled_to_the_last_place_and_no_further(cluster: Cluster, running: Daemon) -> None:
    for name in ("n1", "n2"):
        cluster.node(name, cpu="2")
    for number in range(50):
        cluster.pod(f"web-{number}", cpu="100m")
    eventually(lambda: cluster.placed().total() == 40)
    assert cluster.placed() == {"n1": 20, "n2": 20}
    waiting = [item["metadata"]["name"] for item in cluster.pods() if not item["spec"].get("nodeName")]
    for name in waiting:
        condition = eventually(lambda name=name: cluster.condition(name))
        assert condition["message"].startswith("0/2 nodes are available: 2 Insufficient cpu. preemption: ")
    placed = next(item["metadata"]["name"] for item in cluster.pods() if item["spec"].get("nodeName"))
    cluster.delete(placed)
    eventually(lambda: cluster.placed().total() == 40)


def test_a_finished_pod_gives_its_room_back(cluster: Cluster, running: Daemon) -> None:
    cluster.node("n1", cpu="1")
    cluster.pod("job", cpu="1")
    cluster.where("job")
    cluster.pod("next", cpu="1")
    eventually(lambda: cluster.condition("next"))
    headers = {"content-type": "application/merge-patch+json"}
    answer = cluster.api.http.patch(
        f"{cluster.root}/pods/job/status", json={"status": {"phase": "Succeeded"}}, headers=headers
    )
    assert answer.status_code == 200, answer.text
    assert cluster.where("next") == "n1"


def test_gates_hold_a_pod_until_they_are_taken_away(cluster: Cluster, running: Daemon) -> None:
    cluster.node("n1")
    cluster.pod("gated", schedulingGates=[{"name": "example.com/wait"}])
    cluster.pod("free")
    assert cluster.where("free") == "n1"
    assert "nodeName" not in cluster.get("gated")["spec"]
    patch = {"spec": {"schedulingGates": []}}
    headers = {"content-type": "application/merge-patch+json"}
    answer = cluster.api.http.patch(f"{cluster.root}/pods/gated", json=patch, headers=headers)
    assert answer.status_code == 200, answer.text
    assert cluster.where("gated") == "n1"


def test_pods_of_a_replicaset_are_spread_over_unequal_nodes(cluster: Cluster, running: Daemon) -> None:
    cluster.node("big", cpu="64")
    cluster.node("small", cpu="4")
    body = {"metadata": {"name": "rs"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}}}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}}
    body["spec"]["template"] = template
    made = cluster.api.http.post(f"/apis/apps/v1/namespaces/{cluster.namespace}/replicasets", json=body)
    assert made.status_code == 201, made.text
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "controller": True}
    owner["uid"] = made.json()["metadata"]["uid"]
    for number in range(6):
        cluster.pod(f"web-{number}", cpu="100m", metadata={"labels": {"app": "web"}, "ownerReferences": [owner]})
    eventually(lambda: cluster.placed().total() == 6)
    assert cluster.placed() == {"big": 3, "small": 3}


def test_tenants_share_no_node(cluster: Cluster, running: Daemon) -> None:
    """The API server writes a pod's own value of `mismatchLabelKeys` into the selector that the scheduler reads."""
    for name in ("n1", "n2"):
        cluster.node(name, cpu="8")
    any_tenant = {"matchExpressions": [{"key": "tenant", "operator": "Exists"}]}
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": any_tenant, "mismatchLabelKeys": ["tenant"]}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    nodes = {}
    for name in ("a-1", "b-1", "a-2", "b-2", "a-3"):
        cluster.pod(name, metadata={"labels": {"tenant": name[0]}}, affinity=affinity)
        nodes[name] = cluster.where(name)
    assert {nodes[name] for name in nodes if name[0] == "a"} == {nodes["a-1"]}
    assert {nodes[name] for name in nodes if name[0] == "b"} == {nodes["b-1"]}
    assert nodes["a-1"] != nodes["b-1"]


def test_a_second_scheduler_has_two_profiles(cluster: Cluster, running: Daemon, tmp_path: Path) -> None:
    for name in ("n1", "n2"):
        cluster.node(name, cpu="8")
    file = tmp_path / "packing.yaml"
    file.write_text(PACKING)
    with scheduler(cluster.api.url, tmp_path, "--leader-elect=false", f"--config={file}"):
        cluster.pod("first", cpu="1")
        full = cluster.where("first")
        for name in ("second", "third"):
            cluster.pod(name, cpu="1", schedulerName="packing")
            assert cluster.where(name) == full
        (event,) = eventually(lambda: cluster.events("third"))
        assert event["source"]["component"] == "packing"
        cluster.pod("fourth", cpu="1", schedulerName="spreading")
        assert cluster.where("fourth") != full


def test_its_endpoints_tell_how_it_is(cluster: Cluster, running: Daemon) -> None:
    eventually(lambda: running.log.exists() and " serving " in running.log.read_text())
    assert running.get("/healthz").text == "ok"
    assert eventually(lambda: running.get("/readyz").status_code == 200)
    assert "informer-sync ok" in running.get("/readyz?verbose").text
    assert running.get("/metrics").status_code == 401


def test_a_pod_is_explained(cluster: Cluster, running: Daemon, tmp_path: Path) -> None:
    cluster.node("small", cpu="1")
    cluster.node("large", cpu="8")
    cluster.pod("web", cpu="2")
    assert cluster.where("web") == "large"
    config = tmp_path / "kubeconfig"
    config.write_text(json.dumps(kubeconfig(cluster.api.url)))
    command = [sys.executable, "-m", "scheduler", f"--kubeconfig={config}", f"--explain={cluster.namespace}/web"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert f"Pod {cluster.namespace}/web runs on large. Nodes that would do now: 1 of 2." in answer.stdout
    assert "small   NodeResourcesFit   Insufficient cpu" in answer.stdout
    assert answer.stderr == "", answer.stderr
