"""Clusters with IPv6: nodes, pods and Services have addresses of the families that the cluster was made with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from itertools import product
from pathlib import Path
from urllib.request import urlopen

import pytest

from componentbase.net.authority import join_host_port
from mini_cluster.cluster.families import IP_FAMILIES
from mini_cluster.pytest_plugin import ClusterHandle, running_cluster
from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually
from tests.kits.manifests import container, pod, service
from tests.kits.net.dnsquery import dns_command

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

WEB = ["httpd", "-f", "-p", "[::]:8080", "-h", "/www"]
NAMED = {"PODS": "status.podIPs", "HOSTS": "status.hostIPs"}
PROBE = {"httpGet": {"path": "/ok", "port": 8080}, "periodSeconds": 1}
HOST_PORT = 18080
MERGE = ("--type=merge", "-p")


@pytest.fixture(scope="module", params=["dual", "ipv6"])
def family(request: pytest.FixtureRequest, small_archive: Path) -> Iterator[tuple[list[int], ClusterHandle]]:
    """The versions of addresses, and a cluster of two hosts that has them, with a pod on each."""
    with running_cluster(nodes=2, ip_family=request.param) as handle:
        handle.load_archive(small_archive)
        variables = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in NAMED.items()]
        ports = [{"containerPort": 8080, "hostPort": HOST_PORT}]
        web = container(*WEB, env=variables, readinessProbe=PROBE, ports=ports)
        mk = CommandLine(handle.kubeconfig, "default")
        mk.apply(pod("one", web, nodeName="worker-1"), pod("two", web, nodeName="worker-2"))
        for name in ("one", "two"):
            mk.run("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
        yield list(IP_FAMILIES[request.param]), handle


Family = tuple[list[int], ClusterHandle]


def versions(addresses: list[str]) -> list[int]:
    return [ip_address(address).version for address in addresses]


def answer(mk: CommandLine, address: str, port: int = 80) -> str:
    """The name of the pod that answers pod `one` there."""
    request = f"printf 'GET /cgi-bin/hostname HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {address} {port} || true"
    words = mk.run("exec", "one", "--", "sh", "-c", request).split()
    return words[-1] if words else ""


def is_served(host: str, port: int) -> bool:
    """Tells whether this machine, which is outside the cluster, gets an answer."""
    try:
        with urlopen(f"http://{join_host_port(host, port)}/ok", timeout=5) as response:
            return bool(response.read() == b"ok\n")
    except OSError:
        return False


def test_pods_and_nodes_tell_of_addresses_of_each_family(family: Family) -> None:
    expected, handle = family
    mk = CommandLine(handle.kubeconfig, "default")
    status = mk.get("pod", "two")["status"]
    own, hosts = ([item["ip"] for item in status[field]] for field in ("podIPs", "hostIPs"))
    assert versions(own) == versions(hosts) == expected
    assert (status["podIP"], status["hostIP"]) == (own[0], hosts[0])
    node = mk.get("node", "worker-2")
    assert [item["address"] for item in node["status"]["addresses"] if item["type"] == "InternalIP"] == hosts
    assert versions([cidr.split("/")[0] for cidr in node["spec"]["podCIDRs"]]) == expected
    environment = mk.run("exec", "two", "--", "env").splitlines()
    assert {f"PODS={','.join(own)}", f"HOSTS={','.join(hosts)}"} <= set(environment)
    lines = mk.run("exec", "two", "--", "cat", "/etc/hosts").splitlines()
    assert [line.split() for line in lines if line.endswith("two")] == [[address, "two"] for address in own]
    for address in own:
        assert answer(mk, address, 8080) == "two"


def test_services_answer_at_addresses_of_each_family(family: Family) -> None:
    expected, handle = family
    mk = CommandLine(handle.kubeconfig, "default")
    mk.apply(service("two", ipFamilyPolicy="PreferDualStack", type="NodePort"))
    spec = mk.get("service", "two")["spec"]
    assert versions(spec["clusterIPs"]) == expected
    for address in spec["clusterIPs"]:
        eventually(lambda address=address: answer(mk, address) == "two", f"an answer at {address}")
    slices = mk.items("endpointslices", "-l", "kubernetes.io/service-name=two")
    assert {item["addressType"] for item in slices} == {f"IPv{version}" for version in expected}
    status = mk.get("pod", "one")["status"]
    node_port = spec["ports"][0]["nodePort"]
    for host, port in product((item["ip"] for item in status["hostIPs"]), (node_port, HOST_PORT)):
        eventually(lambda host=host, port=port: is_served(host, port), f"an answer at {host}, port {port}")


def test_a_balancer_has_addresses_of_each_family_that_answer_the_machine(family: Family) -> None:
    expected, handle = family
    mk = CommandLine(handle.kubeconfig, "default")
    mk.apply(service("balanced", ipFamilyPolicy="PreferDualStack", type="LoadBalancer", selector={"app": "two"}))

    def addresses() -> list[str]:
        return [item["ip"] for item in mk.get("service", "balanced")["status"]["loadBalancer"].get("ingress", ())]

    eventually(addresses, "addresses")
    assert versions(addresses()) == expected
    for address in addresses():
        eventually(lambda address=address: is_served(address, 80), f"an answer at {address}")
    mk.run("delete", "service", "balanced")


def test_the_dns_has_an_address_of_each_family(family: Family) -> None:
    expected, handle = family
    mk = CommandLine(handle.kubeconfig, "kube-system")
    addresses = mk.get("service", "kube-dns")["spec"]["clusterIPs"]
    assert versions(addresses) == expected
    lines = CommandLine(handle.kubeconfig, "default").run("exec", "one", "--", "cat", "/etc/resolv.conf").splitlines()
    assert [line.split()[1] for line in lines if line.startswith("nameserver")] == addresses
    inside = ["nsenter", f"--net=/run/netns/{handle.cluster.layout.netns('worker-1')}"]
    for server, (address, type) in product(addresses, zip(addresses, ("A", "AAAA")[-len(expected) :], strict=True)):
        ask = dns_command("kube-dns.kube-system.svc.cluster.local", type, server=server, python=sys.executable)
        assert subprocess.run([*inside, *ask], capture_output=True, text=True, check=True).stdout.strip() == address


def test_a_service_gets_a_second_family_and_gives_it_back(family: Family) -> None:
    expected, handle = family
    mk = CommandLine(handle.kubeconfig, "default")
    mk.apply(service("later", selector={"app": "two"}))
    first = mk.get("service", "later")["spec"]["clusterIPs"]
    assert versions(first) == expected[:1]
    if len(expected) == 1:
        refused = mk.fails("patch", "service", "later", *MERGE, '{"spec":{"ipFamilyPolicy":"RequireDualStack"}}')
        assert "this cluster is not configured for dual-stack services" in refused
        return
    mk.run("patch", "service", "later", *MERGE, '{"spec":{"ipFamilyPolicy":"RequireDualStack"}}')
    both = mk.get("service", "later")["spec"]["clusterIPs"]
    assert (both[0], versions(both)) == (first[0], expected)
    eventually(lambda: answer(mk, both[1]) == "two", "an answer at the second address")
    mk.run("patch", "service", "later", *MERGE, '{"spec":{"ipFamilyPolicy":"SingleStack"}}')
    assert mk.get("service", "later")["spec"]["clusterIPs"] == first
    eventually(lambda: answer(mk, both[1]) == "", "nothing at the second address any more")


def test_a_host_that_was_off_is_found_again_at_once(family: Family) -> None:
    """Its neighbours keep the link address that they know for longer than a minute."""
    _, handle = family
    mk = CommandLine(handle.kubeconfig, "default")
    mk.apply(service("two", ipFamilyPolicy="PreferDualStack", type="NodePort"))
    handle.stop_node("worker-2")
    handle.start_node("worker-2")
    for address in mk.get("service", "two")["spec"]["clusterIPs"]:
        eventually(lambda address=address: answer(mk, address) == "two", f"an answer at {address}", seconds=20)
