"""The way in from the machine: an address for a Service, and hosts and paths for many."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mini_cluster.errors import ClusterError
from mini_cluster.pytest_plugin import ClusterHandle
from netagent.balancer.election import line
from tests.cluster.conftest import IMAGE
from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually
from tests.kits.manifests import pod, service

pytestmark = pytest.mark.cluster

HOSTNAME = "/cgi-bin/hostname"
INSIDE = f"""until [ -e /tmp/done ]; do
printf 'GET {HOSTNAME} HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {{address}} 80 >/tmp/answer
while read -r line; do last=$line; done </tmp/answer
echo "$last"
last=
done"""
"""Asks until it is told to stop, and prints the last line of each answer."""
GET = f"printf 'GET {HOSTNAME} HTTP/1.0\\r\\nHost: {{host}}\\r\\n\\r\\n' | nc -w 3 {{address}} 80"


@pytest.fixture
def pods(mk: CommandLine) -> Iterator[dict[str, str]]:
    """One pod on each host behind the Service "web", which has an address; name of a pod -> its host."""
    container = {"name": "web", "image": IMAGE, "command": ["httpd", "-f", "-p", "8080", "-h", "/www"]}
    placed = {"web-1": "worker-1", "web-2": "worker-2"}
    for name, node in placed.items():
        meta = {"name": name, "labels": {"app": "web"}}
        spec = {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 1}
        mk.apply({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    mk.apply(service("web", type="LoadBalancer"))
    mk.run("wait", "--for=condition=Ready", "pod", "-l", "app=web", "--timeout=120s")
    yield placed
    mk.run("delete", "service", "web")  # its address goes back


def ask(address: str, host: str = "", port: int = 80) -> str:
    """Returns what answers on the port of an address: status and text; "" for nobody."""
    connection = http.client.HTTPConnection(address, port, timeout=3)
    try:
        connection.request("GET", HOSTNAME, headers={"host": host} if host else {})
        answer = connection.getresponse()
        return f"{answer.status} {answer.read().decode().strip()}"
    except OSError:
        return ""
    finally:
        connection.close()


def haproxy_of(cluster: ClusterHandle) -> int:
    """Returns the process id of the proxy's master; 0 while there is none."""
    try:
        controller = cluster.pid("ingress-controller")
        children = Path(f"/proc/{controller}/task/{controller}/children").read_text().split()
    except (ClusterError, OSError):
        return 0
    return int(children[0]) if children else 0


def address_of(mk: CommandLine, kind: str) -> str:
    def look() -> str:
        status: dict[str, Any] = mk.get(kind, "web")["status"]
        ingress = status["loadBalancer"].get("ingress") or [{}]
        return str(ingress[0].get("ip", ""))

    return eventually(look, f"an address of the {kind}")


def test_an_address_of_a_balancer_leads_to_pods_from_the_machine_and_from_pods(
    cluster: ClusterHandle, mk: CommandLine, pods: dict[str, str]
) -> None:
    address = address_of(mk, "service")
    seen: set[str] = set()

    def both() -> bool:
        seen.add(ask(address))
        return seen >= {f"200 {name}" for name in pods}

    eventually(both)
    assert "200 OK" in mk.run("exec", "web-1", "--", "sh", "-c", GET.format(address=address, host="web"))
    holder = ("ip", "-n", cluster.cluster.layout.netns(line(address, pods.values())[0]), "address")
    subprocess.run([*holder, "delete", f"{address}/32", "dev", "eth0"], check=True)
    eventually(lambda: f" {address}/32 " in subprocess.check_output([*holder, "show", "dev", "eth0"], text=True))
    # With the policy Local a node with a pod answers, and no other sends anything on.
    mk.run("patch", "service", "web", "-p", '{"spec": {"externalTrafficPolicy": "Local"}}')
    for name in pods:
        mk.run("label", "pod", name, "app-")
        (other,) = pods.keys() - {name}
        eventually(lambda other=other: {ask(address) for _ in range(3)} == {f"200 {other}"})
        mk.run("label", "pod", name, "app=web")
        mk.run("wait", "--for=condition=Ready", "pod", name)


@pytest.mark.slow
def test_an_address_moves_when_its_node_is_lost(cluster: ClusterHandle, mk: CommandLine, pods: dict[str, str]) -> None:
    address = address_of(mk, "service")
    eventually(lambda: ask(address))
    lost = line(address, pods.values())[0]
    (left,) = (name for name, node in pods.items() if node != lost)
    cluster.disconnect_node(lost)
    try:
        eventually(lambda: ask(address) == f"200 {left}", "an answer by the other node")
    finally:
        cluster.connect_node(lost)
    mk.run("wait", "--for=condition=Ready", f"node/{lost}", "--timeout=60s")
    mk.run("wait", "--for=condition=Ready", "pod", "-l", "app=web", "--timeout=60s")
    eventually(lambda: {ask(address) for _ in range(4)} == {f"200 {name}" for name in pods})


def test_an_ingress_leads_a_host_to_its_service(cluster: ClusterHandle, mk: CommandLine, pods: dict[str, str]) -> None:
    host = f"{mk.namespace}.example.com"
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rule = {"host": host, "http": {"paths": [{"path": "/cgi-bin", "pathType": "Prefix", "backend": backend}]}}
    meta = {"name": "web", "annotations": {"nginx.ingress.kubernetes.io/mirror-uri": "/mirror"}}
    mk.apply({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": meta, "spec": {"rules": [rule]}})
    address = address_of(mk, "ingress")
    assert mk.get("ingress", "web")["spec"]["ingressClassName"] == "mini"
    seen: set[str] = set()

    def both() -> bool:
        seen.add(ask(address, host))
        return seen >= {f"200 {name}" for name in pods}

    eventually(both)
    assert ask(address, "else.example.com").startswith("404")
    assert "200 OK" in mk.run("exec", "web-1", "--", "sh", "-c", GET.format(address=address, host=host))
    closed = {"podSelector": {}, "policyTypes": ["Ingress"]}
    meta = {"name": "closed"}
    mk.apply({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": closed})
    eventually(lambda: not ask(address, host).startswith("200"), "connections that the proxy keeps are cut as well")
    mk.run("delete", "networkpolicy", "closed")
    eventually(lambda: ask(address, host).startswith("200"), "an answer again")
    proxy = haproxy_of(cluster)
    os.kill(proxy, signal.SIGKILL)
    eventually(lambda: haproxy_of(cluster) not in (0, proxy) and ask(address, host).startswith("200"), "a new proxy")
    eventually(lambda: "mirror-uri is not served" in mk.run("describe", "ingress", "web"))
    mk.run("delete", "ingress", "web")
    eventually(lambda: ask(address, host).startswith("404"))


def test_a_rolling_update_costs_no_request_by_any_way(cluster: ClusterHandle, mk: CommandLine) -> None:
    """As upstream advises: pods are asked when they are ready, and serve on while others learn that they go."""
    host = f"{mk.namespace}.example.com"
    container = {
        "name": "web",
        "image": IMAGE,
        "command": ["httpd", "-f", "-p", "8080", "-h", "/www"],
        "readinessProbe": {"httpGet": {"path": "/ok", "port": 8080}, "periodSeconds": 1},
        "lifecycle": {"preStop": {"sleep": {"seconds": 3}}},
    }
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    spec["strategy"] = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    mk.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
    mk.apply(service("web", type="LoadBalancer"), pod("client"))
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    meta = {"metadata": {"name": "web"}, "spec": {"rules": [{"host": host}], "defaultBackend": backend}}
    mk.apply({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", **meta})
    exposed = mk.get("service", "web")["spec"]
    ways = [(address_of(mk, "service"), "", 80), (address_of(mk, "ingress"), host, 80)]
    ways += [(address, "", exposed["ports"][0]["nodePort"]) for address in cluster.node_ips.values()]
    mk.run("rollout", "status", "deployment", "web", "--timeout=120s")
    mk.run("wait", "--for=condition=Ready", "pod/client", "--timeout=60s")
    for way in ways:
        eventually(lambda way=way: ask(*way).startswith("200"))
    done, answers = threading.Event(), {str(way): list[str]() for way in ways}

    def load(way: tuple[str, str, int]) -> None:
        while not done.is_set():
            answers[str(way)].append(ask(*way).removeprefix("200 "))

    def load_from_pod() -> None:
        inside = INSIDE.format(address=exposed["clusterIP"])
        answers["cluster IP"] = mk.run("exec", "client", "--", "sh", "-c", inside).splitlines()

    with ThreadPoolExecutor(len(ways) + 1) as pool:
        loads = [*(pool.submit(load, way) for way in ways), pool.submit(load_from_pod)]
        try:
            mk.run("rollout", "restart", "deployment", "web")
            mk.run("rollout", "status", "deployment", "web", "--timeout=120s")
        finally:
            done.set()
            mk.run("exec", "client", "--", "touch", "/tmp/done")
        for each in loads:
            each.result()
    for name, seen in answers.items():
        assert [answer for answer in seen if not answer.startswith("web-")] == [], name
        assert len(set(seen)) > 2, f"{name}: old pods and new ones"
    mk.run("delete", "service", "web")
