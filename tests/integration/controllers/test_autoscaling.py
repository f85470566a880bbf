"""Autoscalers with their controller, and the metrics of pods that the metrics server has for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from componentbase.net.own_address import own_address
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.metrics import measured_api
from tests.kits.eventually import eventually
from tests.kits.manifests import container, deployment, pod
from tests.kits.net.httpserver import Quiet, serve_in_thread
from tests.kits.process import Daemon, controller_manager

Dict = dict[str, Any]
AT_ONCE = {
    "scaleUp": {"policies": [{"type": "Pods", "value": 100, "periodSeconds": 1}]},
    "scaleDown": {"stabilizationWindowSeconds": 0},
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with measured_api(tmp_path_factory.mktemp("measured")) as (server, _):
        yield server


@pytest.fixture(scope="module")
def manager(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    flags = ("--horizontal-pod-autoscaler-sync-period=1s",)
    with controller_manager(api.url, tmp_path_factory.mktemp("manager"), *flags) as running:
        yield running


class Exporter:
    """Serves `text` for Prometheus, at an address that is not loopback's."""

    def __init__(self) -> None:
        exporter = self
        self.text = ""

        class Handler(Quiet, BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path == "/numbers" else 404)
                self.end_headers()
                self.wfile.write(exporter.text.encode())

        self.address = own_address()
        self.server = ThreadingHTTPServer((self.address, 0), Handler)

    def pod(self, name: str) -> Dict:
        made = pod(name, container(ports=[{"containerPort": self.server.server_port}]))
        made["metadata"]["annotations"] = {"prometheus.io/scrape": "true", "prometheus.io/path": "/numbers"}
        return made


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    exporter = Exporter()
    with serve_in_thread(exporter.server):
        yield exporter


def post(api: ApiServer, path: str, body: Dict) -> None:
    answer = api.http.post(path, json=body)
    assert answer.status_code == 201, answer.text


def run_exporter(api: ApiServer, namespace: str, exporter: Exporter) -> None:
    post(api, f"/api/v1/namespaces/{namespace}/pods", exporter.pod("exporter"))
    status = {"phase": "Running", "podIP": exporter.address, "podIPs": [{"ip": exporter.address}]}
    patch = {"content-type": "application/merge-patch+json"}
    path = f"/api/v1/namespaces/{namespace}/pods/exporter/status"
    assert api.http.patch(path, json={"status": status}, headers=patch).status_code == 200


def autoscale(api: ApiServer, namespace: str, name: str, metric: Dict, most: int = 8) -> None:
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "maxReplicas": most,
        "metrics": [metric],
        "behavior": AT_ONCE,
    }
    body = {"metadata": {"name": name}, "spec": spec}
    post(api, f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers", body)


def replicas(api: ApiServer, namespace: str) -> int:
    found: int = api.http.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/web").json()["spec"]["replicas"]
    return found


def condition(api: ApiServer, namespace: str, name: str, kind: str) -> Dict:
    path = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/{name}"
    conditions = api.http.get(path).json()["status"].get("conditions") or ()
    return next((each for each in conditions if each["type"] == kind), {})


def becomes(api: ApiServer, namespace: str, kind: str, reason: str, name: str = "web") -> None:
    eventually(lambda: condition(api, namespace, name, kind).get("reason") == reason, f"{kind} of {name}: {reason}")


def external(metric: str, average: str) -> Dict:
    selector = {"matchLabels": {"queue": "mail"}}
    target = {"type": "AverageValue", "averageValue": average}
    return {"type": "External", "external": {"metric": {"name": metric, "selector": selector}, "target": target}}


def test_a_workload_follows_a_queue(api: ApiServer, manager: Daemon, namespace: str, exporter: Exporter) -> None:
    exporter.text = 'depth{queue="mail"} 45\ndepth{queue="other"} 900\n'
    run_exporter(api, namespace, exporter)
    post(api, f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment("web", 1))
    autoscale(api, namespace, "web", external("depth", "10"))
    eventually(lambda: replicas(api, namespace) == 5, "five replicas for 45 messages")
    becomes(api, namespace, "ScalingActive", "ValidMetricFound")
    exporter.text = 'depth{queue="mail"} 12\n'
    eventually(lambda: replicas(api, namespace) == 2, "two replicas for 12 messages")
    exporter.text = 'depth{queue="mail"} 500\n'
    eventually(lambda: replicas(api, namespace) == 8, "as many as may be")
    becomes(api, namespace, "ScalingLimited", "TooManyReplicas")
    exporter.text = ""
    becomes(api, namespace, "ScalingActive", "FailedGetExternalMetric")
    assert replicas(api, namespace) == 8
    grown = "New size: 5; reason: external metric depth(&LabelSelector{MatchLabels:map[string]string{queue: mail,},"
    events = f"/api/v1/namespaces/{namespace}/events"
    eventually(
        lambda: any(event["message"].startswith(grown) for event in api.http.get(events).json()["items"]), "the event"
    )


def test_two_autoscalers_of_the_same_pods_stand_still(api: ApiServer, manager: Daemon, namespace: str) -> None:
    post(api, f"/apis/apps/v1/namespaces/{namespace}/deployments", deployment("web", 3))
    pods = f"/api/v1/namespaces/{namespace}/pods"
    eventually(lambda: len(api.http.get(pods).json()["items"]) == 3, "three pods")
    for name in ("a", "b"):
        autoscale(api, namespace, name, external("depth", "1"))
    for name in ("a", "b"):
        becomes(api, namespace, "ScalingActive", "AmbiguousSelector", name)
    text = f"pods by selector app=web are controlled by multiple HPAs: [{namespace}/a {namespace}/b]"
    assert condition(api, namespace, "a", "ScalingActive")["message"] == text


def test_custom_metrics_of_pods_of_objects_and_of_the_namespace(
    api: ApiServer, namespace: str, exporter: Exporter
) -> None:
    exporter.text = (
        '# TYPE hits gauge\nhits{service="shop",path="a"} 3\nhits{service="shop",path="b"} 2.5\nhits{service="a"} 9\n'
    )
    run_exporter(api, namespace, exporter)
    root = f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{namespace}"

    eventually(lambda: api.http.get(f"{root}/pods/*/hits").status_code == 200, "the exporter is known")

    def value(path: str, **query: str) -> str:
        answer = api.http.get(f"{root}/{path}", params=query)
        assert answer.status_code == 200, answer.text
        (item,) = answer.json()["items"]
        return str(item["value"])

    assert value("pods/*/hits") == value("pods/*/hits", labelSelector="app=exporter") == "14500m"
    assert value("pods/exporter/hits", metricLabelSelector="path=a") == "3"
    assert value("services/shop/hits") == "5500m"
    assert value("metrics/hits") == "14500m"
    for path in ("pods/*/misses", "pods/*/hits?labelSelector=app=none", "services/none/hits", "nothings/x/hits"):
        assert api.http.get(f"{root}/{path}").status_code == 404, path
    assert api.http.post(f"{root}/services/shop/hits").status_code == 405
    external = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/hits"
    answer = api.http.get(external, params={"labelSelector": "service=a"}).json()
    assert [(item["value"], item["metricLabels"]) for item in answer["items"]] == [("9", {"service": "a"})]


def test_clients_of_both_versions_change_one_object(api: ApiServer, namespace: str) -> None:
    new, old = (
        f"/apis/autoscaling/{version}/namespaces/{namespace}/horizontalpodautoscalers" for version in ("v2", "v1")
    )
    metrics = [external("depth", "10")]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    post(
        api, new, {"metadata": {"name": "x"}, "spec": {"scaleTargetRef": target, "maxReplicas": 3, "metrics": metrics}}
    )
    shown = api.http.get(f"{old}/x").json()
    assert "targetCPUUtilizationPercentage" not in shown["spec"]
    del shown["metadata"]["resourceVersion"]  # a controller may write the status meanwhile
    shown["spec"] |= {"maxReplicas": 4, "targetCPUUtilizationPercentage": 60}
    answer = api.http.put(f"{old}/x", json=shown)
    assert answer.status_code == 200, answer.text
    assert answer.json()["apiVersion"] == "autoscaling/v1"
    changed = api.http.get(f"{new}/x").json()
    assert changed["spec"]["maxReplicas"] == 4
    assert [each["type"] for each in changed["spec"]["metrics"]] == ["Resource", "External"]
    assert changed["spec"]["metrics"][1:] == metrics
    assert "annotations" not in changed["metadata"]
    patch = {"content-type": "application/merge-patch+json"}
    for path in (old, new):
        answer = api.http.patch(f"{path}/x", json={"spec": {"maxReplicas": 5}}, headers=patch)
        assert (answer.status_code, answer.json()["spec"]["maxReplicas"]) == (200, 5), answer.text
        applied = json.dumps({"apiVersion": path.split("/namespaces")[0][6:], "kind": "HorizontalPodAutoscaler",
                              "metadata": {"name": "x"}, "spec": {"minReplicas": 2}})  # fmt: skip
        apply = {"content-type": "application/apply-patch+yaml"}
        answer = api.http.patch(f"{path}/x?fieldManager=m&force=true", content=applied, headers=apply)
        assert (answer.status_code, answer.json()["spec"]["minReplicas"]) == (200, 2), answer.text
    listed = api.http.get(old).json()
    assert (listed["apiVersion"], [item["metadata"]["name"] for item in listed["items"]]) == ("autoscaling/v1", ["x"])
