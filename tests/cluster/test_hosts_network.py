"""The network between worker hosts as pods see it, and the pytest plugin that made the cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from ipaddress import IPv4Network, ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from kubeapi.core.namespace import Namespace
from mini_cluster.cluster.families import SERVICE_CIDRS
from mini_cluster.pytest_plugin import ClusterHandle
from tests.kits.eventually import eventually
from tests.kits.manifests import service
from tests.kits.net.packets import SentPackets, uplink

pytestmark = pytest.mark.cluster

HEALTH = "printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {address} {port}"


def kubectl(cluster: ClusterHandle, *arguments: str, stdin: str = "", check: bool = True) -> str:
    program = Path(sys.executable).parent / "mini-kubectl"
    environment = os.environ | {"KUBECONFIG": str(cluster.kubeconfig)}
    done = subprocess.run(
        [program, *arguments], env=environment, input=stdin, capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def wait_ready(cluster: ClusterHandle, name: str) -> None:
    """Two minutes: the tests before this may just have killed every process. A failure shows what the pod waits for."""
    try:
        kubectl(cluster, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=120s")
    except AssertionError as error:
        seen = kubectl(cluster, "describe", "pod", name) + kubectl(cluster, "get", "nodes,pods", "-A", "-o", "wide")
        logs = [log.read_text()[-3000:] for log in sorted(cluster.logs.glob("kubelet-*.log"))]
        raise AssertionError("\n".join([str(error), seen, *logs])) from None


def pod_range(cluster: ClusterHandle, node: str) -> str:
    return kubectl(cluster, "get", "node", node, "-o", "jsonpath={.spec.podCIDR}")


def pod(name: str, node: str) -> dict[str, Any]:
    container = {
        "name": "web",
        "image": "mini-kubernetes/guestbook:1.0",
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
    }
    spec = {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec}


SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
}


@pytest.fixture(scope="module")
def pods(cluster: ClusterHandle, guestbook_archive: Path) -> Iterator[dict[str, str]]:
    """A ready pod on each host, behind a Service "web"; pod name -> address."""
    cluster.load_archive(guestbook_archive)
    items = [pod("one", "worker-1"), pod("two", "worker-2"), SERVICE]
    for item in items:
        kubectl(cluster, "apply", "-f", "-", stdin=json.dumps(item))
    for name in ("one", "two"):
        wait_ready(cluster, name)
    found = json.loads(kubectl(cluster, "get", "pods", "-l", "app=web", "-o", "json"))["items"]
    yield {item["metadata"]["name"]: item["status"]["podIP"] for item in found}
    kubectl(cluster, "delete", "service/web", "pod/one", "pod/two")


def ask_from(cluster: ClusterHandle, name: str, address: str, port: int) -> str:
    return kubectl(cluster, "exec", name, "--", "sh", "-c", HEALTH.format(address=address, port=port), check=False)


CONNECT = """\
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20).close()
    print("connected")
except OSError as error:
    print(error.strerror or error)
"""


def connect_from(cluster: ClusterHandle, node: str, address: str, port: int) -> str:
    """Says what becomes of a TCP connection from a worker host, or from the machine itself for ""."""
    inside = ["nsenter", f"--net=/run/netns/{cluster.cluster.layout.netns(node)}", "--"] if node else []
    command = [*inside, sys.executable, "-c", CONNECT, address, str(port)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def connect_from_pod(cluster: ClusterHandle, name: str, address: str, port: int) -> str:
    """Says what becomes of a TCP connection from a pod, in nc's words."""
    script = f"nc -w 20 {address} {port} </dev/null 2>&1 && echo connected || true"
    return kubectl(cluster, "exec", name, "--", "sh", "-c", script).strip()


def test_nothing_for_an_address_that_nobody_has_leaves_by_the_uplink(
    cluster: ClusterHandle, pods: dict[str, str]
) -> None:
    state, bridge = cluster.cluster.state(), cluster.cluster.layout.bridge
    unused, elsewhere = "10.96.200.200", state.pod_network.replace(".0.0/16", ".200.200")
    pod_of_worker_1, host = (
        network.replace(".0/24", ".200") for network in (pod_range(cluster, "worker-1"), state.subnet)
    )
    said: dict[tuple[str, str], Future[str]] = {}
    networks = [IPv4Network(text) for text in (SERVICE_CIDRS[4], state.pod_network, state.subnet)]
    with SentPackets(uplink() or "lo") as leaving, SentPackets(bridge) as staying:
        with ThreadPoolExecutor() as pool:  # some must wait until nobody has answered for the address
            for address in (unused, elsewhere, pod_of_worker_1, host):
                for node in ("", "worker-1", "worker-2"):
                    said[address, node] = pool.submit(connect_from, cluster, node, address, 80)
                said[address, "a pod"] = pool.submit(connect_from_pod, cluster, "one", address, 80)
        for (address, place), answer in said.items():
            assert "No route to host" in answer.result(), (address, place)
        assert connect_from(cluster, "", pods["one"], 8080) == "connected"
        assert (state.gateway, pods["one"]) in staying.between(networks), "packets are seen where there are some"
        assert leaving.between(networks) == set()


def test_a_service_refuses_at_once_what_it_does_not_serve(cluster: ClusterHandle, pods: dict[str, str]) -> None:
    ports = [{"port": 80, "targetPort": 8080, "protocol": "UDP"}]
    kubectl(cluster, "apply", "-f", "-", stdin=json.dumps(service("datagrams", selector={"app": "web"}, ports=ports)))
    address = kubectl(cluster, "get", "service", "datagrams", "-o", "jsonpath={.spec.clusterIP}")
    try:
        for node in cluster.node_ips:
            eventually(lambda node=node: connect_from(cluster, node, address, 80) == "Connection refused", node)
        for name in pods:
            assert "Connection refused" in connect_from_pod(cluster, name, address, 80), name
    finally:
        kubectl(cluster, "delete", "service", "datagrams")


def test_pods_reach_pods_on_every_host(cluster: ClusterHandle, pods: dict[str, str]) -> None:
    for name in pods:
        for address in pods.values():
            assert "200 OK" in ask_from(cluster, name, address, 8080)


def test_pods_reach_a_service_whichever_endpoint_is_chosen(cluster: ClusterHandle, pods: dict[str, str]) -> None:
    address = kubectl(cluster, "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
    for name in pods:
        eventually(lambda name=name: "200 OK" in ask_from(cluster, name, address, 80), f"{name} reaches the Service")
        for _ in range(6):
            assert "200 OK" in ask_from(cluster, name, address, 80)


def test_pods_reach_the_api_server_by_its_service(cluster: ClusterHandle, pods: dict[str, str]) -> None:
    for name in pods:
        connect = "nc -w 3 10.96.0.1 443 </dev/null && echo connected"
        assert "connected" in kubectl(cluster, "exec", name, "--", "sh", "-c", connect)


def test_the_machine_reaches_pods_by_their_address(pods: dict[str, str]) -> None:
    for address in pods.values():
        with urllib.request.urlopen(f"http://{address}:8080/healthz", timeout=60) as answer:
            assert answer.read() == b"ok\n"


def test_addresses_of_pods_are_their_host_s(cluster: ClusterHandle, pods: dict[str, str]) -> None:
    for name, node in (("one", "worker-1"), ("two", "worker-2")):
        assert ip_address(pods[name]) in ip_network(pod_range(cluster, node))


async def test_the_plugin_gives_a_namespace_and_a_client(cluster: ClusterHandle, namespace: str) -> None:
    async with cluster.rest() as rest:
        assert (await rest.get(Namespace, namespace)).name == namespace


def test_the_plugin_kills_and_the_supervisor_restarts(cluster: ClusterHandle) -> None:
    killed = cluster.kill("kube-scheduler")
    cluster.repair()
    assert cluster.pid("kube-scheduler") != killed


async def test_a_control_plane_alone_answers(control_plane: ClusterHandle) -> None:
    async with control_plane.rest() as rest:
        names = [item.name for item in (await rest.list(Namespace)).items]
    assert "kube-system" in names
    assert control_plane.node_ips == {}


def test_a_failing_test_leaves_logs_objects_containers_addresses_and_rules_behind(
    cluster: ClusterHandle, pods: dict[str, str], tmp_path: Path
) -> None:
    cluster.collect_evidence(tmp_path)
    assert "Ready" in (tmp_path / "objects" / "nodes.json").read_text()
    assert {"kube-apiserver.log", "kubelet-worker-1.log", "dockerd-worker-2.log"} <= {
        path.name for path in (tmp_path / "logs").iterdir()
    }
    for node, address in cluster.node_ips.items():
        text = (tmp_path / f"{node}.txt").read_text()
        assert "k8s_web_" in text, "docker ps"
        assert f"inet {address}/24" in text, "addresses"
        assert ":KUBE-SERVICES" in text, "rules"
