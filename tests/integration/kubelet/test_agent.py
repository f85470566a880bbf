"""The whole kubelet on a real API server, with a container runtime in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from kubelet.node import reporter
from kubelet.runtime.configs import PodRef, SandboxConfig
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.eventually import eventually
from tests.kits.node.agent import NODE, Kubelet

R = TypeVar("R")


@pytest.fixture
def kubelet(api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubelet]:
    monkeypatch.setattr(reporter, "LEASE_RENEW_SECONDS", 1.0)
    kubelet = Kubelet(api, tmp_path)
    kubelet.start()
    try:
        eventually(lambda: ready(api), "the node is Ready")
        yield kubelet
    finally:
        kubelet.stop()
        for pod in get(api, "/api/v1/pods")["items"]:
            path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
            api.http.request("DELETE", path, json={"gracePeriodSeconds": 0})
        api.http.delete(f"/api/v1/nodes/{NODE}")


def get(api: ApiServer, path: str) -> dict[str, Any]:
    """{} for what is not there."""
    answer = api.http.get(path)
    document: dict[str, Any] = answer.json() if answer.status_code == 200 else {}
    return document


def condition(document: dict[str, Any], kind: str) -> dict[str, Any]:
    found = document.get("status", {}).get("conditions") or []
    return next((item for item in found if item["type"] == kind), {})


def ready(api: ApiServer) -> bool:
    return condition(get(api, f"/api/v1/nodes/{NODE}"), "Ready").get("status") == "True"


def make_pod(api: ApiServer, namespace: str, name: str, **spec: Any) -> str:
    """The path of the new pod."""
    spec = {"nodeName": NODE, "containers": [{"name": "app", "image": "app:1"}], **spec}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    answer = api.http.post(f"/api/v1/namespaces/{namespace}/pods", json=body)
    assert answer.status_code == 201, answer.text
    return f"/api/v1/namespaces/{namespace}/pods/{name}"


def pod_ready(api: ApiServer, path: str) -> dict[str, Any]:
    pod = get(api, path)
    return pod if condition(pod, "Ready").get("status") == "True" else {}


def test_the_node_registers_itself(api: ApiServer, kubelet: Kubelet) -> None:
    node = get(api, f"/api/v1/nodes/{NODE}")
    labels = node["metadata"]["labels"]
    assert (labels["kubernetes.io/hostname"], labels["kubernetes.io/os"], labels["disk"]) == (NODE, "linux", "ssd")
    assert {"type": "InternalIP", "address": "127.0.0.1"} in node["status"]["addresses"]
    assert node["status"]["capacity"]["pods"] == "110"
    lease = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{NODE}"
    spec = eventually(lambda: get(api, lease), "the node has a Lease")["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == (NODE, 40)


def test_a_node_that_was_deleted_comes_back(api: ApiServer, kubelet: Kubelet) -> None:
    before = get(api, f"/api/v1/nodes/{NODE}")["metadata"]["uid"]
    api.http.delete(f"/api/v1/nodes/{NODE}")
    kubelet.take_runtime(away=True)  # something to report
    eventually(
        lambda: get(api, f"/api/v1/nodes/{NODE}").get("metadata", {}).get("uid") not in (None, before), "a new node"
    )
    kubelet.take_runtime(away=False)
    eventually(lambda: ready(api), "the new node is Ready")


def test_a_lease_that_was_deleted_comes_back(api: ApiServer, kubelet: Kubelet) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{NODE}"
    eventually(lambda: get(api, path), "the node has a Lease")
    assert api.http.delete(path).status_code == 200
    eventually(lambda: get(api, path), "the node has a Lease again", seconds=60)


def test_a_runtime_that_is_down_makes_the_node_not_ready(api: ApiServer, kubelet: Kubelet) -> None:
    kubelet.take_runtime(away=True)
    eventually(lambda: not ready(api), "the node is not Ready")
    message = condition(get(api, f"/api/v1/nodes/{NODE}"), "Ready")["message"]
    assert "container runtime is down" in message
    kubelet.take_runtime(away=False)
    eventually(lambda: ready(api), "the node is Ready again")


def test_a_host_that_is_switched_off_ends_its_pods_first(api: ApiServer, kubelet: Kubelet, namespace: str) -> None:
    path = make_pod(api, namespace, "web")
    eventually(lambda: pod_ready(api, path), "the pod is Ready")
    kubelet.switch_host_off()
    status = get(api, path)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "Terminated")
    assert condition(get(api, path), "DisruptionTarget")["reason"] == "TerminationByKubelet"
    kubelet.start()
    eventually(lambda: ready(api), "the node is Ready again")


def test_the_life_of_a_pod(api: ApiServer, kubelet: Kubelet, namespace: str) -> None:
    path = make_pod(api, namespace, "web")
    pod = eventually(lambda: pod_ready(api, path), "the pod is Ready")
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["podIPs"] == [{"ip": pod["status"]["podIP"]}]
    assert pod["status"]["hostIP"] == "127.0.0.1"

    container = kubelet.runtime.find(pod["metadata"]["uid"], "app").status.id
    kubelet.do(lambda: kubelet.runtime.exit(container, 1))

    def restarted() -> dict[str, Any]:
        again = pod_ready(api, path)
        return again if again and again["status"]["containerStatuses"][0]["restartCount"] == 1 else {}

    status = eventually(restarted, "the container is back")["status"]["containerStatuses"][0]
    assert status["lastState"]["terminated"]["exitCode"] == 1

    api.http.delete(path)
    eventually(lambda: not get(api, path), "the pod is gone")
    eventually(lambda: not kubelet.runtime.containers and not kubelet.runtime.sandboxes, "nothing of it is left")

    def told() -> dict[str, Any]:
        events = get(api, f"/api/v1/namespaces/{namespace}/events")["items"]
        about = {event["reason"]: event for event in events if event["involvedObject"]["name"] == "web"}
        return about if {"Pulled", "Created", "Started", "Killing"} <= set(about) else {}

    about = eventually(told, "events tell the story")
    assert about["Started"]["involvedObject"]["fieldPath"] == "spec.containers{app}"


def test_configuration_is_watched_while_a_pod_uses_it(api: ApiServer, kubelet: Kubelet, namespace: str) -> None:
    own = {"name": "app", "image": "app:1", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    path = make_pod(api, namespace, "web", containers=[own], volumes=[{"name": "v", "configMap": {"name": "cm"}}])
    waiting = eventually(
        lambda: (get(api, path)["status"].get("containerStatuses") or [{}])[0].get("state"), "a status"
    )
    assert waiting["waiting"]["reason"] == "ContainerCreating"

    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cm"}, "data": {"k": "old"}}
    api.http.post(f"/api/v1/namespaces/{namespace}/configmaps", json=body)
    pod = eventually(lambda: pod_ready(api, path), "the pod is Ready once its ConfigMap is there")
    file = Path(kubelet.options.root_dir) / "pods" / pod["metadata"]["uid"] / "volumes/kubernetes.io~configmap/v/k"
    assert file.read_text() == "old"

    api.http.put(f"/api/v1/namespaces/{namespace}/configmaps/cm", json=body | {"data": {"k": "new"}})
    eventually(lambda: file.read_text() == "new", "the file follows the ConfigMap")

    api.http.delete(path)
    eventually(lambda: not file.exists(), "the volume is gone")


def test_secrets_and_services_reach_the_environment(api: ApiServer, kubelet: Kubelet, namespace: str) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"pw": "geheim"}}
    api.http.post(f"/api/v1/namespaces/{namespace}/secrets", json=secret)
    service = {"metadata": {"name": "db"}, "spec": {"ports": [{"port": 5432}], "selector": {"a": "b"}}}
    made = api.http.post(
        f"/api/v1/namespaces/{namespace}/services", json={"apiVersion": "v1", "kind": "Service"} | service
    )
    assert made.status_code == 201, made.text
    address = made.json()["spec"]["clusterIP"]
    env = [{"name": "PW", "valueFrom": {"secretKeyRef": {"name": "s", "key": "pw"}}}]

    def variables() -> dict[str, str]:
        """A new pod each time: the kubelet may hear of the Service a moment later."""
        name = f"web-{time.monotonic_ns()}"
        path = make_pod(api, namespace, name, containers=[{"name": "app", "image": "app:1", "env": env}])
        uid = eventually(lambda: pod_ready(api, path), "the pod is Ready")["metadata"]["uid"]
        found = dict(kubelet.runtime.find(uid, "app").config.env)
        return found if "DB_SERVICE_HOST" in found else {}

    found = eventually(variables, "a pod sees the Service")
    assert (found["PW"], found["DB_SERVICE_HOST"], found["DB_SERVICE_PORT"]) == ("geheim", address, "5432")


def test_a_restarted_kubelet_adopts_what_runs(api: ApiServer, kubelet: Kubelet, namespace: str) -> None:
    path = make_pod(api, namespace, "web")
    before = eventually(lambda: pod_ready(api, path), "the pod is Ready")
    kubelet.stop()
    gone = make_pod(api, namespace, "late")
    calls = list(kubelet.runtime.calls)
    kubelet.start()
    eventually(lambda: pod_ready(api, gone), "a pod made meanwhile is Ready")
    after = get(api, path)
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert [call for call in kubelet.runtime.calls[len(calls) :] if "web" in call] == []


def test_what_the_api_no_longer_has_is_ended_at_the_start(api: ApiServer, kubelet: Kubelet, namespace: str) -> None:
    path = make_pod(api, namespace, "web", volumes=[{"name": "v", "emptyDir": {"medium": "Memory"}}])
    eventually(lambda: pod_ready(api, path), "the pod is Ready")
    kubelet.stop()
    api.http.request("DELETE", path, json={"gracePeriodSeconds": 0})
    assert not get(api, path)
    stray = Path(kubelet.options.root_dir) / "pods" / "stray-uid" / "volumes"
    stray.mkdir(parents=True)
    asyncio.run(kubelet.runtime.create_sandbox(SandboxConfig(PodRef("other-uid", "default", "other"))))
    kubelet.start()
    eventually(lambda: not kubelet.runtime.containers and not kubelet.runtime.sandboxes, "nothing runs any more")
    eventually(lambda: not list((Path(kubelet.options.root_dir) / "pods").iterdir()), "no folder is left")
    eventually(lambda: not kubelet.runtime._volumes, "no memory volume is left")


def test_pods_run_on_while_the_api_server_restarts(api: ApiServer, kubelet: Kubelet, namespace: str) -> None:
    path = make_pod(api, namespace, "web")
    uid = eventually(lambda: pod_ready(api, path), "the pod is Ready")["metadata"]["uid"]
    api.kill()
    container = kubelet.runtime.find(uid, "app").status.id
    kubelet.do(lambda: kubelet.runtime.exit(container, 1))
    eventually(lambda: kubelet.runtime.find(uid, "app").status.attempt == 1, "the container is restarted all the same")
    api.start()

    def reported() -> bool:
        statuses = get(api, path).get("status", {}).get("containerStatuses") or [{}]
        return bool(statuses[0].get("restartCount") == 1)

    eventually(reported, "the restart is reported afterwards")
