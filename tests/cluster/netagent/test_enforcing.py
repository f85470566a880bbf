"""What policies do to connections that are there, to Services, to a node's own packets, and when the agent is gone."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.kits.eventually import eventually
from tests.kits.node.policylab import PODS, PolicyLab
from tests.kits.node.policyoracle import Pod

pytestmark = pytest.mark.cluster
Dict = dict[str, Any]

BY_KEY = {pod.key: pod for pod in PODS}
XA, XB, XC, YA = (BY_KEY[key] for key in ("x/a", "x/b", "x/c", "y/a"))
DENY = {"metadata": {"namespace": "x", "name": "deny"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}
OWN = {
    "metadata": {"namespace": "x", "name": "own"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]},
}
SERVICE = "10.96.7.7"


@pytest.fixture(autouse=True)
def _without_policies(lab: PolicyLab) -> Iterator[None]:
    lab.apply()
    eventually(lambda: reaches(lab, YA, XA) and reaches(lab, YA, XC))
    yield
    lab.apply()


def reaches(lab: PolicyLab, client: Pod, server: Pod) -> bool:
    found = lab.matrix([client, server], [4])
    return (client, server, 80, "TCP", 4) in found


class Flow:
    """A connection that is open, with a server of its own."""

    def __init__(self, lab: PolicyLab, client: Pod, server: Pod, kind: socket.SocketKind) -> None:
        self.listener = lab.namespaces[server.key].run(socket.socket, socket.AF_INET, kind)
        self.client = lab.namespaces[client.key].run(socket.socket, socket.AF_INET, kind)
        self.listener.bind(("0.0.0.0", 0))
        if kind == socket.SOCK_STREAM:
            self.listener.listen(1)
        self.client.settimeout(3)
        self.client.connect((server.address(4), self.listener.getsockname()[1]))
        if kind == socket.SOCK_STREAM:
            self.server = self.listener.accept()[0]
        else:
            self.client.send(b"?")
            _, peer = self.listener.recvfrom(10)
            self.listener.connect(peer)
            self.server = self.listener

    def passes(self, *, backwards: bool = False) -> bool:
        """Whether a byte gets to the other end within a moment."""
        source, target = (self.server, self.client) if backwards else (self.client, self.server)
        target.settimeout(0.3)
        try:
            source.send(b"!")
            return bool(target.recv(100))
        except OSError:
            return False

    def close(self) -> None:
        for item in {self.client, self.server, self.listener}:
            item.close()


@pytest.mark.parametrize(
    ("server", "kind"), [(XA, socket.SOCK_DGRAM), (XC, socket.SOCK_STREAM)], ids=["same node, UDP", "other node, TCP"]
)
def test_a_policy_ends_connections_that_it_forbids_and_no_others(
    lab: PolicyLab, server: Pod, kind: socket.SocketKind
) -> None:
    with ExitStack() as stack:
        forbidden, allowed = (Flow(lab, client, server, kind) for client in (YA, XB))
        for flow in (forbidden, allowed):
            stack.callback(flow.close)
            eventually(flow.passes)
            eventually(lambda flow=flow: flow.passes(backwards=True))
        lab.apply(OWN)
        # Answers on such a connection don't pass either.
        eventually(lambda: not forbidden.passes() and not forbidden.passes(backwards=True))
        eventually(allowed.passes)
        eventually(lambda: allowed.passes(backwards=True))


@pytest.mark.parametrize("server", [XA, XC], ids=["same node", "other node"])
def test_traffic_of_a_service_counts_by_the_pods_own_addresses(lab: PolicyLab, server: Pod) -> None:
    node = lab.nodes["n1"]
    translate = ["-d", SERVICE, "-p", "tcp", "--dport", "8080", "-j", "DNAT", "--to", f"{server.address(4)}:80"]
    node.command("iptables", "-t", "nat", "-A", "PREROUTING", *translate)
    masquerade = ["-s", XA.address(4), "-d", XA.address(4), "-j", "MASQUERADE"]
    node.command("iptables", "-t", "nat", "-A", "POSTROUTING", *masquerade)

    def served(client: Pod) -> bool:
        asking = lab.namespaces[client.key].run(socket.socket)
        with asking:
            asking.settimeout(0.5)
            return asking.connect_ex((SERVICE, 8080)) == 0

    try:
        eventually(lambda: served(YA) and served(XB))
        lab.apply(OWN)
        eventually(lambda: not served(YA) and served(XB))
        lab.apply(DENY)
        eventually(lambda: not served(XB))
        if server == XA:
            eventually(lambda: served(XA), "a pod reaches itself")
    finally:
        node.command("iptables", "-t", "nat", "-D", "PREROUTING", *translate)
        node.command("iptables", "-t", "nat", "-D", "POSTROUTING", *masquerade)


def test_a_node_reaches_its_own_pods(lab: PolicyLab) -> None:
    lab.apply(DENY)
    eventually(lambda: not reaches(lab, YA, XA))

    def connects(node: str) -> bool:
        asking = lab.nodes[node].run(socket.socket)
        with asking:
            asking.settimeout(0.5)
            return asking.connect_ex((XA.address(4), 80)) == 0

    eventually(lambda: connects("n1"), "as the kubelet does that probes it")
    assert not connects("n2")


def test_a_pod_is_held_until_its_policy_holds_it(lab: PolicyLab) -> None:
    """Its kubelet has started it and not yet told its address."""
    lab.report_addresses(XA, "")
    lab.apply(DENY)
    eventually(lambda: not reaches(lab, YA, XA))
    assert not reaches(lab, XB, XA)
    lab.report_addresses(XA)
    lab.apply(OWN)
    eventually(lambda: reaches(lab, XB, XA))
    assert not reaches(lab, YA, XA)


def test_rules_outlive_the_agent_and_the_next_one_takes_them_over(lab: PolicyLab) -> None:
    agent = lab.agents["n1"]
    lab.apply(DENY)
    eventually(lambda: not reaches(lab, YA, XA))
    agent.kill()
    assert not reaches(lab, YA, XA)
    lab.apply()
    assert not reaches(lab, YA, XA)
    agent.start()
    eventually(lambda: reaches(lab, YA, XA))
    lab.apply(DENY)
    eventually(lambda: not reaches(lab, YA, XA))
    assert agent.stop() == 0
    assert subprocess.run([*agent.command, "--cleanup"], timeout=30, check=False).returncode == 0
    assert "mini-kubernetes-policy" not in lab.nodes["n1"].command("nft", "list", "tables")
    assert reaches(lab, YA, XA)
    agent.start()
    eventually(lambda: not reaches(lab, YA, XA))
