"""binding, scale, eviction, and logs and exec through a pod's kubelet."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.kubelet import FakeKubelet
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.identity.certificates import write_certificates
from tests.kits.process import TOKEN

MERGE = {"content-type": "application/merge-patch+json"}


def make_pod(api: ApiServer, namespace: str, name: str = "p", node: str = "", containers: int = 1) -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": f"c{index}", "image": "i"} for index in range(containers)]}
    if node:
        spec["nodeName"] = node
    body = {"metadata": {"name": name}, "spec": spec}
    answer = api.http.post(f"/api/v1/namespaces/{namespace}/pods", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


# Binding


def test_a_pod_is_bound_once(api: ApiServer, namespace: str) -> None:
    make_pod(api, namespace)
    path = f"/api/v1/namespaces/{namespace}/pods/p"
    body = {"metadata": {"name": "p", "annotations": {"by": "me"}}, "target": {"kind": "Node", "name": "n1"}}
    answer = api.http.post(f"{path}/binding", json=body)
    assert (answer.status_code, answer.json()["status"]) == (201, "Success")
    pod = api.http.get(path).json()
    assert (pod["spec"]["nodeName"], pod["metadata"]["annotations"]) == ("n1", {"by": "me"})
    condition = next(item for item in pod["status"]["conditions"] if item["type"] == "PodScheduled")
    assert condition["status"] == "True"
    again = api.http.post(f"{path}/binding", json=body)
    assert (again.status_code, again.json()["reason"]) == (409, "Conflict")
    assert again.json()["message"].endswith('pod p is already assigned to node "n1"')


def test_a_binding_is_checked(api: ApiServer, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods/p/binding"
    body: dict[str, Any] = {"metadata": {"name": "p"}, "target": {"name": "n1"}}
    assert api.http.post(path, json=body).status_code == 404
    make_pod(api, namespace)
    assert api.http.post(path, json={"metadata": {"name": "p"}, "target": {}}).status_code == 422
    assert api.http.post(path, json=body | {"target": {"kind": "Pod", "name": "n1"}}).status_code == 422
    assert api.http.post(path, json=body | {"metadata": {"name": "q"}}).status_code == 400
    assert api.http.post(path, json=body | {"metadata": {"name": "p", "uid": "x"}}).status_code == 409
    assert api.http.post(path, content=b"{").status_code == 400
    assert "nodeName" not in api.http.get(path.removesuffix("/binding")).json()["spec"]


# Scale


@pytest.fixture
def deployment(api: ApiServer, namespace: str) -> str:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    root = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    assert api.http.post(root, json={"metadata": {"name": "d"}, "spec": spec}).status_code == 201
    return f"{root}/d"


def test_scale_is_a_view_of_replicas(api: ApiServer, deployment: str) -> None:
    scale = api.http.get(f"{deployment}/scale").json()
    assert (scale["kind"], scale["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 0, "selector": "a=b"})
    scale["spec"]["replicas"] = 5
    assert api.http.put(f"{deployment}/scale", json=scale).json()["spec"] == {"replicas": 5}
    stored = api.http.get(deployment).json()
    assert (stored["spec"]["replicas"], stored["metadata"]["generation"]) == (5, 2)
    assert api.http.put(f"{deployment}/scale", json=scale).status_code == 409
    answer = api.http.patch(f"{deployment}/scale", json={"spec": {"replicas": 0}}, headers=MERGE)
    assert answer.json()["spec"] == {}
    answer = api.http.patch(f"{deployment}/scale", json={"spec": {"replicas": -1}}, headers=MERGE)
    assert (answer.status_code, answer.json()["details"]["causes"][0]["field"]) == (422, "spec.replicas")


def test_scale_is_a_row_of_a_table(api: ApiServer, deployment: str) -> None:
    headers = {"accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}
    table = api.http.get(f"{deployment}/scale", headers=headers).json()
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Desired", "Available", "Age"]
    assert table["rows"][0]["cells"][:3] == ["d", 2, 0]


# Eviction


def test_an_evicted_pod_is_deleted(api: ApiServer, namespace: str) -> None:
    make_pod(api, namespace)
    path = f"/api/v1/namespaces/{namespace}/pods/p"
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    assert api.http.post(f"{path}/eviction", json=body).status_code == 201
    assert api.http.get(path).status_code == 404
    assert api.http.post(f"{path}/eviction", json=body).status_code == 404


def test_an_evicted_pod_says_why_it_goes(api: ApiServer, namespace: str) -> None:
    made = make_pod(api, namespace, node="n1")
    path = f"/api/v1/namespaces/{namespace}/pods/p"
    body = {"metadata": {"name": "p"}, "deleteOptions": {"preconditions": {"resourceVersion": "1"}}}
    assert api.http.post(f"{path}/eviction", json=body).status_code == 409
    assert api.http.get(path).json() == made
    body["deleteOptions"]["preconditions"] = {key: made["metadata"][key] for key in ("uid", "resourceVersion")}
    assert api.http.post(f"{path}/eviction", json=body).status_code == 201
    pod = api.http.get(path).json()
    assert "deletionTimestamp" in pod["metadata"]
    condition = next(item for item in pod["status"]["conditions"] if item["type"] == "DisruptionTarget")
    assert (condition["status"], condition["reason"]) == ("True", "EvictionByEvictionAPI")
    assert api.http.post(f"{path}/eviction", json={}).json()["message"].startswith("name in URL does not match")


def test_parallel_evictions_take_no_more_than_their_budget(api: ApiServer, namespace: str) -> None:
    root = f"/api/v1/namespaces/{namespace}/pods"
    labels, ready = {"app": "a"}, [{"type": "Ready", "status": "True"}]
    names = [f"p{number}" for number in range(32)]
    for name in names:
        body = {"metadata": {"name": name, "labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        assert api.http.post(root, json=body).status_code == 201
        status = {"status": {"phase": "Running", "conditions": ready}}
        assert api.http.patch(f"{root}/{name}/status", json=status, headers=MERGE).status_code == 200
    budgets = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    spec = {"minAvailable": 27, "selector": {"matchLabels": labels}}
    assert api.http.post(budgets, json={"metadata": {"name": "b"}, "spec": spec}).status_code == 201
    allowed = {"observedGeneration": 1, "disruptionsAllowed": 5, "currentHealthy": 32, "desiredHealthy": 27}
    status = {"status": {**allowed, "expectedPods": 32}}
    assert api.http.patch(f"{budgets}/b/status", json=status, headers=MERGE).status_code == 200

    def evict(name: str) -> int:
        return api.http.post(f"{root}/{name}/eviction", json={"metadata": {"name": name}}).status_code

    with ThreadPoolExecutor(32) as threads:
        codes = list(threads.map(evict, names))
    assert (codes.count(201), codes.count(429)) == (5, 27)
    assert len(api.http.get(f"{budgets}/b").json()["status"]["disruptedPods"]) == 5
    assert len(api.http.get(root).json()["items"]) == 27


# Kubelet


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_certificates(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, certificates: dict[str, Path]) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("api")
    flags = [
        f"--kubelet-certificate-authority={certificates['ca']}",
        f"--kubelet-client-certificate={certificates['client']}",
        f"--kubelet-client-key={certificates['client-key']}",
    ]
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, *flags) as server:
        yield server


@pytest.fixture
def kubelet(api: ApiServer, namespace: str, certificates: dict[str, Path]) -> Iterator[FakeKubelet]:
    """A kubelet of node NAMESPACE's name."""
    files = certificates
    with FakeKubelet(files["server"], files["server-key"], files["ca"]) as fake:
        register(api, namespace, fake.port)
        yield fake
    api.http.delete(f"/api/v1/nodes/{namespace}")


def register(api: ApiServer, node: str, port: int) -> None:
    api.http.post("/api/v1/nodes", json={"metadata": {"name": node}})
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    answer = api.http.patch(f"/api/v1/nodes/{node}/status", json={"status": status}, headers=MERGE)
    assert answer.status_code == 200, answer.text


def test_logs_come_from_the_kubelet_as_they_are_written(api: ApiServer, namespace: str, kubelet: FakeKubelet) -> None:
    make_pod(api, namespace, node=namespace)
    path = f"/api/v1/namespaces/{namespace}/pods/p/log"
    with api.http.stream("GET", path, params={"follow": "true", "tailLines": "5"}) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        lines = answer.iter_lines()
        for line in ("one", "two"):
            kubelet.lines.put(line.encode() + b"\n")
            assert next(lines) == line
        kubelet.lines.put(None)
        assert list(lines) == []
    assert kubelet.requests.get() == f"/containerLogs/{namespace}/p/c0?follow=true&tailLines=5"


def test_the_container_of_a_log_is_chosen_as_upstream_does(
    api: ApiServer, namespace: str, kubelet: FakeKubelet
) -> None:
    make_pod(api, namespace, node=namespace, containers=2)
    path = f"/api/v1/namespaces/{namespace}/pods/p/log"
    answer = api.http.get(path)
    assert answer.status_code == 400
    assert answer.json()["message"] == "a container name must be specified for pod p, choose one of: [c0 c1]"
    answer = api.http.get(path, params={"container": "x"})
    assert answer.json()["message"] == "container x is not valid for pod p"
    kubelet.lines.put(b"text\n")
    kubelet.lines.put(None)
    assert api.http.get(path, params={"container": "c1"}).text == "text\n"
    make_pod(api, namespace, "unbound")
    assert api.http.get(path.replace("/p/", "/unbound/")).status_code == 204
    answer = api.http.get(path, params={"container": "c0", "tailLines": "-1"})
    assert (answer.status_code, answer.json()["details"]["causes"][0]["field"]) == (422, "tailLines")


def test_a_kubelets_refusal_is_told_as_a_status(api: ApiServer, namespace: str, kubelet: FakeKubelet) -> None:
    make_pod(api, namespace, node=namespace)
    text = b"container is waiting to start"
    kubelet.refusal = b"HTTP/1.1 400 Bad Request\r\ncontent-length: %d\r\n\r\n%b" % (len(text), text)
    answer = api.http.get(f"/api/v1/namespaces/{namespace}/pods/p/log")
    assert (answer.status_code, answer.json()["message"]) == (400, text.decode())


def test_a_kubelet_out_of_reach_is_a_clear_error(api: ApiServer, namespace: str) -> None:
    make_pod(api, namespace, node="nowhere")
    path = f"/api/v1/namespaces/{namespace}/pods/p/log"
    answer = api.http.get(path)
    assert (answer.status_code, answer.json()["message"]) == (404, 'nodes "nowhere" not found')
    make_pod(api, namespace, "q", node=namespace)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    register(api, namespace, port)
    answer = api.http.get(path.replace("/p/", "/q/"))
    assert (answer.status_code, answer.json()["reason"]) == (503, "ServiceUnavailable")


def test_a_kubelet_with_another_authority_is_not_trusted(api: ApiServer, namespace: str, tmp_path: Path) -> None:
    files = write_certificates(tmp_path)
    with FakeKubelet(files["server"], files["server-key"], files["ca"]) as fake:
        register(api, namespace, fake.port)
        make_pod(api, namespace, node=namespace)
        answer = api.http.get(f"/api/v1/namespaces/{namespace}/pods/p/log")
    assert answer.status_code == 503
    assert fake.requests.empty()


def upgrade(api: ApiServer, path: str, protocol: str = "websocket") -> tuple[ssl.SSLSocket, bytes]:
    """An open connection and the head of the answer to an upgrade request."""
    raw = socket.create_connection(("127.0.0.1", api.port), timeout=20)
    connection = ssl._create_unverified_context().wrap_socket(raw)
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nConnection: Upgrade\r\n"
    head += f"Upgrade: {protocol}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    head += "Sec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io\r\n\r\n"
    connection.sendall(head.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = connection.recv(4096)
        if not data:
            break
        answer += data
    return connection, answer


def test_exec_joins_the_client_to_the_kubelet(api: ApiServer, namespace: str, kubelet: FakeKubelet) -> None:
    make_pod(api, namespace, node=namespace)
    path = f"/api/v1/namespaces/{namespace}/pods/p/exec?command=sh&command=-c&stdin=1&stdout=true&tty=true"
    connection, head = upgrade(api, path)
    with connection:
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"v5.channel.k8s.io" in head
        asked = kubelet.requests.get()
        assert asked == f"/exec/{namespace}/p/c0?input=1&output=1&tty=1&command=sh&command=-c"
        sent = bytes(range(256)) * 4000
        connection.sendall(sent)
        got = b""
        while len(got) < len(sent):
            got += connection.recv(65536)
        assert got == sent


def test_exec_ends_with_the_server(
    tmp_path: Path, certificates: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = certificates
    flags = [
        f"--kubelet-certificate-authority={files['ca']}", f"--kubelet-client-certificate={files['client']}",
        f"--kubelet-client-key={files['client-key']}",
    ]  # fmt: skip
    with (
        EtcdServer(tmp_path) as etcd,
        ApiServer(tmp_path / "apiserver", etcd.url, *flags) as server,
        FakeKubelet(files["server"], files["server-key"], files["ca"]) as kubelet,
    ):
        register(server, "n", kubelet.port)
        make_pod(server, "default", node="n")
        connection, head = upgrade(server, "/api/v1/namespaces/default/pods/p/exec?command=sh&stdout=1")
        assert head.startswith(b"HTTP/1.1 101 ")
        server.stop()
        with connection:
            assert connection.recv(10) == b""


def test_an_exec_that_can_not_be_is_refused(api: ApiServer, namespace: str, kubelet: FakeKubelet) -> None:
    make_pod(api, namespace, node=namespace)
    path = f"/api/v1/namespaces/{namespace}/pods/p/exec"
    for query, said in (("", "at least one command"), ("?command=sh", "at least 1 of stdin, stdout, stderr")):
        connection, head = upgrade(api, path + query)
        with connection:
            assert b" 400 " in head.splitlines()[0]
            assert said.encode() in head + connection.recv(4096)
    assert "Upgrade request required" in api.http.post(f"{path}?command=sh&stdout=1").text
    connection, head = upgrade(api, f"/api/v1/namespaces/{namespace}/configmaps", "websocket")
    with connection:
        assert b" 200 " in head.splitlines()[0]
    assert kubelet.requests.empty()
