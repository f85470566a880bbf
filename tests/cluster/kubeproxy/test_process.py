"""kube-proxy as a process in a node's network namespace, on a real API server."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually
from tests.kits.machine.netns import Namespace, connect, unique
from tests.kits.process import Daemon

pytestmark = pytest.mark.cluster

POD_IPS = ("10.244.1.2", "10.244.1.3")


class Proxy:
    """The node, two pods on it (one namespace with two addresses), and kube-proxy."""

    def __init__(self, api: ApiServer, folder: Path, mode: str) -> None:
        self.api, self.mode = api, mode
        self.node, self.pod = Namespace(unique("kpp-node")), Namespace(unique("kpp-pod"))
        connect(self.node, self.pod, "veth1", "eth0")
        self.node.ip("addr", "add", "10.244.1.1/24", "dev", "veth1")
        for address in POD_IPS:
            self.pod.ip("addr", "add", f"{address}/24", "dev", "eth0")
        self.node.ip("route", "add", "default", "via", POD_IPS[0])
        self.pod.serve_tcp(8080)
        self.node.forward(api.port)
        flags = [
            "--hostname-override=n1", "--cluster-cidr=10.244.0.0/16", "--iptables-min-sync-period=100ms",
            "--iptables-sync-period=1s", f"--proxy-mode={mode}", "--nodeport-addresses=10.244.1.1/32",
        ]  # fmt: skip
        inside = ["nsenter", f"--net=/var/run/netns/{self.node.name}"]
        self.daemon = Daemon("kubeproxy", api.url, folder, *flags, inside=inside)
        self.daemon.start()

    def cleanup(self) -> None:
        assert subprocess.run([*self.daemon.command, "--cleanup"], timeout=30, check=False).returncode == 0

    def serve(self, name: str, *ips: str) -> str:
        """Makes or changes the Service and its endpoints; its ClusterIP."""
        services = "/api/v1/namespaces/default/services"
        answer = self.api.http.get(f"{services}/{name}")
        if answer.status_code == 404:
            spec = {"ports": [{"port": 80, "targetPort": 8080}]}
            answer = self.api.http.post(services, json={"metadata": {"name": name}, "spec": spec})
            assert answer.status_code == 201, answer.text
        slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        self.api.http.delete(f"{slices}/{name}")
        endpoints = [{"addresses": [ip], "conditions": {"ready": True}, "nodeName": "n1"} for ip in ips]
        metadata = {"name": name, "labels": {"kubernetes.io/service-name": name}}
        body = {"metadata": metadata, "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": endpoints}
        made = self.api.http.post(slices, json=body)
        assert made.status_code == 201, made.text
        return str(answer.json()["spec"]["clusterIP"])

    def drop(self, name: str) -> None:
        assert self.api.http.delete(f"/api/v1/namespaces/default/services/{name}").status_code == 200

    def answers(self, address: str) -> str:
        """ "" when nobody does, "refused" when that is said at once."""
        try:
            return self.node.ask_tcp(address, 80)[0]
        except ConnectionRefusedError:
            return "refused"
        except OSError:
            return ""

    def endpoints(self, address: str) -> set[str]:
        """Where the rules for a ClusterIP lead."""
        if self.mode == "nftables":
            return self._nftables_endpoints(address)
        lines = self.node.command("iptables-save", "-t", "nat").splitlines()
        comments = {line.split('"')[1] for line in lines if f"-d {address}/32" in line and "KUBE-SERVICES" in line}
        names = {comment.removesuffix(" cluster IP") for comment in comments}
        return {
            line.rsplit(" ", 1)[1].partition(":")[0] for line in lines
            if "--to-destination" in line and line.split('"')[1] in names
        }  # fmt: skip

    def routed(self, address: str) -> bool:
        return address in self.node.command("nft", "list", "ruleset")

    def _nftables_endpoints(self, address: str) -> set[str]:
        try:
            rules = self.node.command("nft", "list", "table", "ip", "kube-proxy")
        except subprocess.CalledProcessError:
            return set()
        chain = re.search(rf"{re.escape(address)} . tcp . 80 : goto (service[^ ,]+)", rules)
        if chain is None:
            return set()
        body = rules.split(f"chain {chain[1]} {{")[1].split("\n\t}")[0]
        return set(re.findall(r"dnat to ([0-9.]+):", body))

    def close(self) -> None:
        if self.daemon.running:
            self.daemon.stop()
        self.pod.close()
        self.node.close()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("api")
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url) as server:
        yield server


BOTH_MODES = pytest.mark.parametrize("proxy", ["iptables", "nftables"], indirect=True)


@pytest.fixture
def proxy(request: pytest.FixtureRequest, api: ApiServer, tmp_path: Path) -> Iterator[Proxy]:
    made = Proxy(api, tmp_path, getattr(request, "param", "iptables"))
    yield made
    made.close()


@BOTH_MODES
def test_services_are_routed_followed_and_removed(proxy: Proxy) -> None:
    address = proxy.serve("web", *POD_IPS)
    assert eventually(lambda: proxy.answers(address)) == proxy.pod.name
    assert proxy.endpoints(address) == set(POD_IPS)
    proxy.serve("web", POD_IPS[1])
    eventually(lambda: proxy.endpoints(address) == {POD_IPS[1]})
    proxy.serve("web")
    eventually(lambda: proxy.answers(address) == "refused")
    proxy.drop("web")
    eventually(lambda: not proxy.routed(address))


def test_a_killed_proxy_leaves_routes_that_work_and_a_new_one_takes_them_over(proxy: Proxy) -> None:
    address, other = proxy.serve("web", POD_IPS[0]), proxy.serve("other", POD_IPS[0])
    eventually(lambda: proxy.endpoints(address) and proxy.endpoints(other))
    proxy.daemon.kill()
    assert proxy.answers(address) == proxy.pod.name
    proxy.serve("web", POD_IPS[1])
    proxy.drop("other")
    proxy.daemon.start()
    eventually(lambda: proxy.endpoints(address) == {POD_IPS[1]} and not proxy.endpoints(other))
    assert proxy.answers(address) == proxy.pod.name


@BOTH_MODES
def test_rules_that_someone_flushed_come_back(proxy: Proxy) -> None:
    address = proxy.serve("web", POD_IPS[0])
    eventually(lambda: proxy.endpoints(address))
    flush = ("iptables", "-t", "nat", "-F") if proxy.mode == "iptables" else ("nft", "flush", "ruleset")
    proxy.node.command(*flush)
    eventually(lambda: proxy.answers(address) == proxy.pod.name)


def test_it_works_on_after_the_api_server_was_away(proxy: Proxy) -> None:
    address = proxy.serve("web", POD_IPS[0])
    eventually(lambda: proxy.endpoints(address))
    proxy.api.kill()
    assert proxy.answers(address) == proxy.pod.name
    proxy.api.start()
    proxy.serve("web", POD_IPS[1])
    eventually(lambda: proxy.endpoints(address) == {POD_IPS[1]})


@BOTH_MODES
def test_stopping_leaves_the_rules_and_cleanup_takes_them_away(proxy: Proxy) -> None:
    address = proxy.serve("web", POD_IPS[0])
    eventually(lambda: proxy.endpoints(address))
    assert proxy.daemon.stop() == 0
    assert proxy.answers(address) == proxy.pod.name
    proxy.cleanup()
    assert "kube-" not in proxy.node.command("nft", "list", "ruleset").lower()
    proxy.cleanup()


def test_another_mode_takes_over_and_removes_the_rules_of_the_first(proxy: Proxy) -> None:
    address = proxy.serve("web", POD_IPS[0])
    eventually(lambda: proxy.endpoints(address))
    for mode, left in (("nftables", "KUBE-"), ("iptables", "kube-proxy")):
        proxy.daemon.stop()
        proxy.daemon.command = [*proxy.daemon.command, f"--proxy-mode={mode}"]
        proxy.mode = mode
        proxy.daemon.start()
        eventually(lambda: proxy.endpoints(address) == {POD_IPS[0]}, "rules of the new mode")
        eventually(lambda left=left: left not in proxy.node.command("nft", "list", "ruleset"), "no rules of the old")
        assert proxy.answers(address) == proxy.pod.name


def test_a_health_check_port_tells_of_endpoints_on_this_node(proxy: Proxy) -> None:
    spec = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80, "targetPort": 8080}]}
    body = {"metadata": {"name": "balanced"}, "spec": spec}
    port = proxy.api.http.post("/api/v1/namespaces/default/services", json=body).json()["spec"]["healthCheckNodePort"]

    def ask() -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=3) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        except OSError:
            return 0, {}

    eventually(lambda: proxy.node.run(ask)[0] == 503)
    proxy.serve("balanced", POD_IPS[0])
    eventually(lambda: proxy.node.run(ask)[0] == 200)
    name = {"namespace": "default", "name": "balanced"}
    assert proxy.node.run(ask)[1] == {"service": name, "localEndpoints": 1, "serviceProxyHealthy": True}
    proxy.drop("balanced")
    eventually(lambda: proxy.node.run(ask)[0] == 0)


def test_its_endpoints_tell_how_it_is(proxy: Proxy) -> None:
    def get(url: str) -> bytes:
        try:
            with urllib.request.urlopen(url, timeout=3) as answer:
                return bytes(answer.read())
        except OSError:
            return b""

    health = eventually(lambda: proxy.node.run(get, "http://127.0.0.1:10256/healthz"))
    assert set(json.loads(health)) == {"lastUpdated", "currentTime", "nodeEligible"}
    assert proxy.node.run(get, "http://127.0.0.1:10249/proxyMode") == proxy.mode.encode()
    metrics = eventually(lambda: proxy.node.run(get, "http://127.0.0.1:10249/metrics"))
    assert b"kubeproxy_sync_proxy_rules_duration_seconds" in metrics
