"""metrics.k8s.io: what kubelets measure, as `kubectl top` and autoscalers ask for it."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.fakes.kubelet import FakeKubelet
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.metrics import measured_api
from tests.kits.eventually import eventually

METRICS = "/apis/metrics.k8s.io/v1beta1"
MERGE = {"content-type": "application/merge-patch+json"}
TIME = "2026-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ApiServer, dict[str, Path]]]:
    with measured_api(tmp_path_factory.mktemp("measured")) as both:
        yield both


@pytest.fixture(scope="module")
def api(measured: tuple[ApiServer, dict[str, Path]]) -> ApiServer:
    return measured[0]


@pytest.fixture
def kubelet(measured: tuple[ApiServer, dict[str, Path]], namespace: str) -> Iterator[FakeKubelet]:
    """A kubelet of node NAMESPACE's name."""
    api, files = measured
    with FakeKubelet(files["server"], files["server-key"], files["ca"]) as fake:
        api.http.post("/api/v1/nodes", json={"metadata": {"name": namespace, "labels": {"node": namespace}}})
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": fake.port}},
        }
        api.http.patch(f"/api/v1/nodes/{namespace}/status", json={"status": status}, headers=MERGE)
        yield fake
    api.http.delete(f"/api/v1/nodes/{namespace}")


def running_pod(api: ApiServer, namespace: str, name: str, **labels: str) -> None:
    spec = {"nodeName": namespace, "containers": [{"name": "app", "image": "i"}, {"name": "side", "image": "i"}]}
    path = f"/api/v1/namespaces/{namespace}/pods"
    made = api.http.post(path, json={"metadata": {"name": name, "labels": labels}, "spec": spec})
    assert made.status_code == 201, made.text
    answer = api.http.patch(f"{path}/{name}/status", json={"status": {"phase": "Running"}}, headers=MERGE)
    assert answer.status_code == 200, answer.text


def shown(api: ApiServer, path: str) -> Any:
    """The answer, None while there is none: the metrics server sees nodes and pods a moment later."""
    answer = api.http.get(f"{METRICS}/{path}")
    return answer.json() if answer.status_code == 200 else None


def used(cpu: int | None, memory: int) -> dict[str, Any]:
    rate = {} if cpu is None else {"usageNanoCores": cpu}
    return {"cpu": {"time": TIME, **rate}, "memory": {"time": TIME, "workingSetBytes": memory}}


def answers(kubelet: FakeKubelet, namespace: str, **pods: dict[str, tuple[int | None, int]]) -> None:
    """The kubelet's next answer; `pods`: name -> container -> CPU and memory."""
    document = {
        "node": {"nodeName": "n", **used(250_000_000, 3 << 30)},
        "pods": [
            {
                "podRef": {"namespace": namespace, "name": pod},
                "containers": [{"name": name, **used(*use)} for name, use in containers.items()],
            }
            for pod, containers in pods.items()
        ],
    }
    kubelet.lines.put(orjson.dumps(document))
    kubelet.lines.put(None)


def test_a_node_and_its_pods_are_measured_by_one_question(api: ApiServer, namespace: str, kubelet: FakeKubelet) -> None:
    running_pod(api, namespace, "web", app="web")
    running_pod(api, namespace, "db", app="db")
    running_pod(api, namespace, "starting")
    both: dict[str, tuple[int | None, int]] = {"app": (12_000_000, 20 << 20), "side": (0, 1 << 20)}
    answers(kubelet, namespace, web=both, db={"app": (1_500_000_000, 1 << 30)}, starting={"app": (None, 5)})
    node = eventually(lambda: shown(api, f"nodes/{namespace}"), "the node is measured")
    assert node["usage"] == {"cpu": "250m", "memory": "3Gi"}
    assert (node["kind"], node["timestamp"], node["window"]) == ("NodeMetrics", TIME, "10s")
    pods = eventually(
        lambda: (found := shown(api, f"namespaces/{namespace}/pods")) and len(found["items"]) > 1 and found
    )
    assert pods["kind"] == "PodMetricsList"
    assert {item["metadata"]["name"] for item in pods["items"]} == {"web", "db"}  # the third's rate isn't known yet
    selected = api.http.get(f"{METRICS}/namespaces/{namespace}/pods", params={"labelSelector": "app=web"}).json()
    (item,) = selected["items"]
    assert item["metadata"]["labels"] == {"app": "web"}
    assert item["containers"] == [
        {"name": "app", "usage": {"cpu": "12m", "memory": "20Mi"}},
        {"name": "side", "usage": {"cpu": "0", "memory": "1Mi"}},
    ]
    assert api.http.get(f"{METRICS}/namespaces/{namespace}/pods/web").json()["containers"] == item["containers"]
    assert kubelet.requests.get(timeout=5) == "/stats/summary?only_cpu_and_memory=true"
    with pytest.raises(queue.Empty):
        kubelet.requests.get_nowait()


def test_tables_show_the_sum(api: ApiServer, namespace: str, kubelet: FakeKubelet) -> None:
    running_pod(api, namespace, "web")
    answers(kubelet, namespace, web={"app": (12_000_000, 20 << 20), "side": (1_000_000, 1 << 20)})
    eventually(lambda: shown(api, f"namespaces/{namespace}/pods/web"), "the pod is measured")
    headers = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    table = api.http.get(f"{METRICS}/namespaces/{namespace}/pods", headers=headers).json()
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "cpu", "memory", "Window"]
    assert table["rows"][0]["cells"] == ["web", "13m", "21Mi", "10s"]


def test_what_nobody_measures_is_not_found(api: ApiServer, namespace: str, kubelet: FakeKubelet) -> None:
    running_pod(api, namespace, "web")
    kubelet.refusal = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\nbusy"
    assert api.http.get(f"{METRICS}/namespaces/{namespace}/pods").json()["items"] == []
    for name in ("web", "none"):
        answer = api.http.get(f"{METRICS}/namespaces/{namespace}/pods/{name}")
        message = f'pods.metrics.k8s.io "{namespace}/{name}" not found'
        assert (answer.status_code, answer.json()["message"]) == (404, message.replace("pods.", "podmetrics."))
    answer = api.http.get(f"{METRICS}/nodes/none")
    assert answer.json()["message"] == 'nodemetrics.metrics.k8s.io "none" not found'


def test_nothing_can_be_written(api: ApiServer, namespace: str) -> None:
    path = f"{METRICS}/namespaces/{namespace}/pods"
    assert api.http.post(path, json={}).status_code == 405
    assert api.http.get(path, params={"fieldSelector": "spec.color=red"}).status_code == 400
