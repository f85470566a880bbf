"""A worker host on another machine: it joins by one line, its pods reach the others, and nothing is left of it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import IMAGE
from tests.kits.eventually import eventually
from tests.kits.machine.machines import Machine, Switch
from tests.kits.net.dnsquery import DNS_ADDRESS, dns_command

pytestmark = pytest.mark.cluster

PROGRAMS = Path(sys.executable).parent
LAUNCHER, KUBECTL = str(PROGRAMS / "mini-cluster"), str(PROGRAMS / "mini-kubectl")
JOINED = "elsewhere"
WEB = ["httpd", "-f", "-p", "8080", "-h", "/www"]


class Two:
    """The control plane's machine, with one worker host of its own, and another machine."""

    def __init__(self, switch: Switch, plane: Machine, other: Machine) -> None:
        self.switch, self.plane, self.other = switch, plane, other

    def launch(self, machine: Machine, *words: str, check: bool = True) -> str:
        answer = machine.run(LAUNCHER, *words, check=check)
        return answer.stdout + answer.stderr

    def kubectl(self, *words: str) -> str:
        config = f"--kubeconfig={self.plane.folder}/.cluster/kubeconfig"
        return self.plane.run(KUBECTL, config, *words).stdout

    def get(self, *words: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.kubectl("get", *words, "-o", "json"))
        return document

    def is_ready(self, node: str) -> bool:
        conditions = self.get("node", node)["status"].get("conditions") or []
        return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

    def pod(self, name: str, node: str) -> str:
        """Runs a web server on a node; its address."""
        overrides = {"spec": {"nodeName": node, "terminationGracePeriodSeconds": 0}}
        self.kubectl("run", name, f"--image={IMAGE}", f"--overrides={json.dumps(overrides)}", "--command", "--", *WEB)
        return eventually(lambda: self.address(name), f"the pod {name} runs")

    def address(self, name: str) -> str:
        status = self.get("pod", name)["status"]
        return str(status.get("podIP", "")) if status.get("phase") == "Running" else ""

    def hostname_from(self, pod: str, address: str) -> str:
        """What a pod is told by the web server at an address."""
        request = f"printf 'GET /cgi-bin/hostname HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {address}"
        return self.kubectl("exec", pod, "--", "sh", "-c", request).strip().rpartition("\n")[2]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, small_archive: Path) -> Iterator[Two]:
    folder = tmp_path_factory.mktemp("machines")
    switch = Switch()
    machines: list[Machine] = []
    try:
        machines += [Machine(switch, number, folder / f"machine-{number}") for number in (1, 2)]
        pair = Two(switch, *machines)
        pair.launch(pair.plane, "up", "--nodes", "1")
        line = pair.launch(pair.plane, "-q", "join-command", "--address", pair.plane.address).strip()
        program, *words = shlex.split(line)
        assert program == "mini-cluster"
        pair.launch(pair.other, *words, "--node-name", JOINED)
        for machine in machines:
            pair.launch(machine, "load", "archive", str(small_archive))
        yield pair
    finally:
        for machine in machines:
            machine.run(LAUNCHER, "down", "--purge", check=False)
            machine.close()
        switch.close()


def approve_serving(two: Two) -> None:
    for request in two.get("csr")["items"]:
        if request["spec"]["signerName"] == "kubernetes.io/kubelet-serving":
            two.kubectl("certificate", "approve", request["metadata"]["name"])


def test_the_other_machine_is_a_node(two: Two) -> None:
    eventually(lambda: two.is_ready(JOINED), "the node is Ready")
    node = two.get("node", JOINED)
    assert [item["address"] for item in node["status"]["addresses"] if item["type"] == "InternalIP"] == ["192.168.77.2"]
    (request,) = (r for r in two.get("csr")["items"] if r["spec"]["username"].startswith("system:bootstrap:"))
    assert request["status"]["conditions"][0]["reason"] == "AutoApproved"
    assert "ready" in two.launch(two.other, "status")


def test_pods_reach_each_other_and_services_across_machines(two: Two) -> None:
    approve_serving(two)
    here, there = two.pod("here", "worker-1"), two.pod("there", JOINED)

    def answers(pod: str, address: str, name: str) -> Callable[[], bool]:
        return lambda: two.hostname_from(pod, address) == name

    eventually(answers("here", f"{there} 8080", "there"), "a local pod reaches one elsewhere")
    eventually(answers("there", f"{here} 8080", "here"), "a pod elsewhere reaches a local one")
    two.kubectl("expose", "pod", "here", "--port=80", "--target-port=8080")
    service = two.get("service", "here")["spec"]["clusterIP"]
    eventually(answers("there", f"{service} 80", "here"), "a pod elsewhere reaches a Service")
    assert two.kubectl("logs", "there") == ""
    ask = dns_command("here.default.svc.cluster.local", python=sys.executable)
    eventually(lambda: two.other.run(*ask, check=False).stdout.strip() == service, "its own DNS knows the Service")


def test_a_machine_joins_once(two: Two, tmp_path: Path) -> None:
    words = shlex.split(two.launch(two.plane, "-q", "join-command").strip())[1:]
    answer = two.launch(two.other, *words, "--dir", str(tmp_path / "other"), check=False)
    assert "is in use: does another worker host run here?" in answer


def test_another_cluster_than_the_one_that_invited_is_not_joined(two: Two, tmp_path: Path) -> None:
    words = shlex.split(two.launch(two.plane, "-q", "join-command").strip())[1:]
    words[words.index("--discovery-token-ca-cert-hash") + 1] = "sha256:" + "0" * 64
    third = Machine(two.switch, 3, tmp_path / "machine-3")
    try:
        answer = two.launch(third, *words, check=False)
        assert "is not the cluster that sent the invitation: its authority's hash is sha256:" in answer
        assert not (third.folder / ".cluster" / "state.json").exists()
    finally:
        third.close()


def test_routes_go_with_the_node(two: Two) -> None:
    cidr = two.get("node", JOINED)["spec"]["podCIDR"]
    assert cidr in two.plane.run("ip", "route").stdout
    two.launch(two.other, "down", "--purge")
    left = two.other.run("ip", "route").stdout + two.other.run("ip", "-br", "link").stdout
    assert cidr not in left
    assert DNS_ADDRESS not in two.other.run("ip", "address").stdout
    assert "mini-kubernetes" not in two.other.run("iptables-save").stdout
    two.launch(two.plane, "node", "remove", JOINED)
    eventually(lambda: cidr not in two.plane.run("ip", "route").stdout, "the route is gone")
