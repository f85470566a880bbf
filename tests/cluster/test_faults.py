"""Whatever is killed, whenever: the cluster converges, and keeps its promises on the way."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import docker
import httpx
import pytest

from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.client.commandline import CommandLine
from tests.kits.client.http import connect
from tests.kits.eventually import eventually
from tests.kits.manifests import configmap, container, deployment, pod, service, web_container

pytestmark = pytest.mark.cluster

REPLICAS, MAX_SURGE = 4, 1
ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": MAX_SURGE, "maxUnavailable": 1}}
COMPONENTS = [
    "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet-worker-1", "kube-proxy-worker-1",
    "dockerd-worker-1",
]  # fmt: skip
ALWAYS = {"kube-apiserver", "kubelet-worker-1"}


@pytest.fixture(autouse=True)
def repaired(cluster: ClusterHandle) -> Iterator[None]:
    """Every test leaves a cluster that works to the next."""
    yield
    cluster.repair()


class Requests:
    """Asks for a page all the time, each time by a new connection, and counts."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self.answered = self.failed = 0
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Requests:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._stop.wait(0.05):
            if is_answered(self._url):
                self.answered += 1
            else:
                self.failed += 1


def is_answered(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).text == "ok\n"
    except httpx.HTTPError:
        return False


def node_port_of(mk: CommandLine, name: str) -> int:
    return int(mk.get("service", name)["spec"]["ports"][0]["nodePort"])


class PodCounter:
    """Looks at the pods of a namespace all the time and remembers how many there were at most."""

    def __init__(self, cluster: ClusterHandle, namespace: str) -> None:
        self._http = connect(cluster)
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._stop = threading.Event()
        self.most = 0
        self._thread = threading.Thread(target=self._count, daemon=True)

    def __enter__(self) -> PodCounter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._http.close()

    def _count(self) -> None:
        while not self._stop.wait(0.05):
            with suppress(httpx.TransportError):  # while the API server is down there is nothing to count
                answer = self._http.get(self._path)
                if answer.status_code == 200:
                    active = [item for item in answer.json()["items"] if "deletionTimestamp" not in item["metadata"]]
                    self.most = max(self.most, len(active))


def rolled_out(mk: CommandLine, version: str) -> bool:
    """All replicas run this version, are available, and nothing else is left."""
    found = mk.try_run("get", "deployments,pods", "-o", "json")
    if found.returncode:
        return False
    items = json.loads(found.stdout)["items"]
    status = next(item for item in items if item["kind"] == "Deployment").get("status", {})
    pods = [item for item in items if item["kind"] == "Pod" and "deletionTimestamp" not in item["metadata"]]
    versions = [item["spec"]["containers"][0]["env"][0]["value"] for item in pods]
    return (
        status.get("updatedReplicas") == status.get("availableReplicas") == status.get("replicas") == REPLICAS
        and versions == [version] * REPLICAS
    )


def versioned(version: str) -> dict[str, object]:
    own = web_container() | {"env": [{"name": "VERSION", "value": version}]}
    return deployment("web", REPLICAS, own, strategy=ROLLING)


@pytest.mark.parametrize(
    "component", [pytest.param(each, marks=() if each in ALWAYS else pytest.mark.slow) for each in COMPONENTS]
)
def test_a_rollout_survives_the_death_of_any_process(cluster: ClusterHandle, mk: CommandLine, component: str) -> None:
    mk.apply(versioned("one"))
    eventually(lambda: rolled_out(mk, "one"), "the first version")
    with PodCounter(cluster, mk.namespace) as counter:
        mk.apply(versioned("two"))
        cluster.kill(component)
        eventually(lambda: rolled_out(mk, "two"), f"the second version, after {component} was killed", 120)
    assert REPLICAS <= counter.most <= REPLICAS + MAX_SURGE


@pytest.mark.parametrize("component", ["etcd", pytest.param("kube-apiserver", marks=pytest.mark.slow)])
def test_no_acknowledged_write_is_lost(cluster: ClusterHandle, mk: CommandLine, component: str) -> None:
    acknowledged = []
    for number in range(30):
        if number == 10:
            cluster.kill(component)
        done = mk.try_run("create", "configmap", f"write-{number}", f"--from-literal=number={number}")
        if done.returncode == 0:
            acknowledged.append(f"write-{number}")
    cluster.repair()
    stored = {item["metadata"]["name"]: item["data"] for item in mk.items("configmaps")}
    assert len(acknowledged) >= 10
    assert {name: stored[name]["number"] for name in acknowledged} == {
        name: name.removeprefix("write-") for name in acknowledged
    }


def test_a_container_removed_behind_the_kubelets_back_is_restarted(cluster: ClusterHandle, mk: CommandLine) -> None:
    mk.apply(pod("victim"))
    mk.run("wait", "--for=condition=Ready", "pod/victim", "--timeout=120s")
    before = mk.get("pod", "victim")
    engine = docker.DockerClient(base_url=f"unix://{cluster.docker_socket(before['spec']['nodeName'])}")
    container_id = before["status"]["containerStatuses"][0]["containerID"].removeprefix("docker://")
    engine.containers.get(container_id).remove(force=True)
    engine.close()

    def restarted() -> bool:
        status = mk.get("pod", "victim")["status"]["containerStatuses"][0]
        return status["ready"] and status["restartCount"] == 1

    eventually(restarted, "a new container in the same pod")
    assert mk.get("pod", "victim")["status"]["podIP"] == before["status"]["podIP"]


def test_containers_outlive_their_kubelet_and_are_adopted(cluster: ClusterHandle, mk: CommandLine) -> None:
    mk.apply(pod("steady", nodeName="worker-1"))
    mk.run("wait", "--for=condition=Ready", "pod/steady", "--timeout=120s")
    before = mk.get("pod", "steady")["status"]["containerStatuses"][0]
    cluster.kill("kubelet-worker-1")
    cluster.repair()
    mk.apply(pod("later", nodeName="worker-1"))  # the new kubelet works
    mk.run("wait", "--for=condition=Ready", "pod/later", "--timeout=120s")
    after = mk.get("pod", "steady")["status"]["containerStatuses"][0]
    assert (after["containerID"], after["restartCount"]) == (before["containerID"], 0)


def containers_of(cluster: ClusterHandle, node: str, namespace: str) -> list[str]:
    """The names of the pods that have containers on the host, whoever can reach it."""
    with closing(docker.DockerClient(f"unix://{cluster.docker_socket(node)}")) as engine:
        label = f"io.kubernetes.pod.namespace={namespace}"
        return [each.labels["io.kubernetes.pod.name"] for each in engine.containers.list(filters={"label": label})]


@pytest.mark.parametrize("lost_by", ["cable", pytest.param("power", marks=pytest.mark.slow)])
def test_a_lost_host_is_noticed_its_pods_move_and_it_comes_back(
    cluster: ClusterHandle, mk: CommandLine, lost_by: str
) -> None:
    lose, find = {
        "cable": (cluster.disconnect_node, cluster.connect_node),
        "power": (cluster.stop_node, cluster.start_node),
    }[lost_by]
    tolerations = [
        {"key": f"node.kubernetes.io/{taint}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}
        for taint in ("not-ready", "unreachable")
    ]
    mk.apply(deployment("web", 2, web_container(), tolerations=tolerations), service("web", type="NodePort"))
    mk.apply(service("near", type="NodePort", externalTrafficPolicy="Local", selector={"app": "web"}))
    mk.run("rollout", "status", "deployment/web", "--timeout=120s")
    near, web = (f"http://{cluster.node_ips['worker-1']}:{node_port_of(mk, name)}/ok" for name in ("near", "web"))
    eventually(lambda: is_answered(near), "an answer of the pod on the other host")
    with Requests(near) as requests:
        lose("worker-2")
        try:

            def moved() -> bool:
                ready = mk.run("get", "endpoints", "web", "-o", "jsonpath={.subsets[*].addresses[*].nodeName}").split()
                return ready == ["worker-1", "worker-1"]

            eventually(moved, "both endpoints on the host that is left", 90)
            conditions = {c["type"]: c["status"] for c in mk.get("node", "worker-2")["status"]["conditions"]}
            assert conditions["Ready"] == "Unknown"
            eventually(lambda: all(is_answered(web) for _ in range(5)), "answers of the host that is left")
            if lost_by == "cable":
                assert containers_of(cluster, "worker-2", mk.namespace), "a host that is cut off goes on"
        finally:
            find("worker-2")
    assert requests.failed == 0, "requests to another host don't feel it"
    assert requests.answered > 0
    mk.run("wait", "--for=condition=Ready", "node/worker-2", "--timeout=120s")

    def taints_gone() -> bool:
        return not mk.get("node", "worker-2")["spec"].get("taints")

    eventually(taints_gone, "worker-2 without taints")
    eventually(lambda: not containers_of(cluster, "worker-2", mk.namespace), "the end of pods that were evicted", 60)
    mk.apply(pod("again", nodeName="worker-2"))
    mk.run("wait", "--for=condition=Ready", "pod/again", "--timeout=120s")


def test_configuration_survives_a_restart_of_everything(cluster: ClusterHandle, mk: CommandLine) -> None:
    mk.apply(configmap("kept", key="value"), pod("kept", container()))
    mk.run("wait", "--for=condition=Ready", "pod/kept", "--timeout=120s")
    for component in COMPONENTS:
        cluster.kill(component)
    cluster.repair()
    assert mk.get("configmap", "kept")["data"] == {"key": "value"}
    mk.run("wait", "--for=condition=Ready", "pod/kept", "--timeout=120s")
