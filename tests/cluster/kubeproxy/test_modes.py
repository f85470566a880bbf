"""A cluster whose kube-proxy works by nftables: Services while kube-proxy dies, its rules go, and the mode changes."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from kubeproxy.topology import BALANCE_ANNOTATION
from mini_cluster.launcher import Cluster
from tests.kits.client.commandline import CommandLine
from tests.kits.eventually import eventually
from tests.kits.manifests import deployment, service, web_container

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

NODE_PORTS = {"random": 30181, "least-connections": 30182}


@pytest.fixture
def cluster(tmp_path: Path, small_archive: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path / "nft", owner_pid=os.getpid())
    try:
        cluster.up(1, api_port=None, proxy_mode="nftables")
        subprocess.run(
            ["docker", "-H", f"unix://{cluster.layout.node('worker-1').docker_socket}", "load", "-i", small_archive],
            check=True,
        )
        yield cluster
    finally:
        cluster.down(purge=True)


def test_services_answer_whatever_becomes_of_kube_proxy(cluster: Cluster) -> None:
    mk = CommandLine(cluster.layout.kubeconfig, "default")
    address = cluster.node_addresses()["worker-1"]
    netns = cluster.layout.netns("worker-1")
    mk.apply(deployment("web", 2, web_container()))
    for balance, number in NODE_PORTS.items():
        exposed = service("web") | {"metadata": {"name": balance, "annotations": {BALANCE_ANNOTATION: balance}}}
        exposed["spec"] |= {"type": "NodePort"}
        exposed["spec"]["ports"][0]["nodePort"] = number
        mk.apply(exposed)
    mk.run("rollout", "status", "deployment/web", "--timeout=120s")

    def answers(number: int) -> str:
        try:
            return httpx.get(f"http://{address}:{number}/cgi-bin/hostname", timeout=2).text.strip()
        except httpx.HTTPError:
            return ""

    def both_pods_answer() -> bool:
        return all(len({answers(number) for _ in range(6)} - {""}) == 2 for number in NODE_PORTS.values())

    eventually(both_pods_answer, "both pods answer by both Services")
    cluster.kill("kube-proxy-worker-1")
    assert all(answers(NODE_PORTS["random"]) for _ in range(5)), "the kernel has the rules"
    eventually(both_pods_answer, "kube-proxy is back")
    subprocess.run(["ip", "netns", "exec", netns, "nft", "delete", "table", "ip", "kube-proxy"], check=True)
    eventually(both_pods_answer, "the rules are back")

    failures: list[int] = []
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            if not answers(NODE_PORTS["random"]):
                failures.append(1)

    thread = threading.Thread(target=load)
    thread.start()
    cluster.up(proxy_mode="iptables")

    def rules() -> str:
        return subprocess.run(
            ["nsenter", f"--net=/var/run/netns/{netns}", "nft", "list", "ruleset"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    eventually(lambda: "kube-proxy {" not in rules(), "the table of the other mode is gone")
    done.set()
    thread.join()
    assert not failures
    eventually(both_pods_answer, "both pods answer by iptables")
