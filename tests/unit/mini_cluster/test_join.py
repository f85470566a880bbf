"""Joining: the line and what is wrong with one, the authority's hash, addresses, and the routes to other machines."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from apimachinery.meta import ObjectMeta
from kubeapi.core.node import Node, NodeAddress, NodeSpec, NodeStatus
from mini_cluster.cli.main import parser
from mini_cluster.join.invitation import Invitation, InvitationError, ca_hash, free_pod_cidr
from mini_cluster.join.routes import plan, wanted_routes
from tests.kits.certificates import write_certificates

INVITATION = Invitation(
    "10.0.0.1:6443",
    "abcdef.0123456789abcdef",
    "sha256:" + "1" * 64,
    "10.244.16.0/24",
    "10.244.0.0/16",
    "172.30.0.0/24",
)


def test_the_line_says_what_it_is_read_as() -> None:
    INVITATION.check()
    options = parser().parse_args(INVITATION.command.split()[1:])
    read = Invitation(
        options.server, options.token, options.ca_hash, options.pod_cidr, options.pod_network, options.host_network
    )
    assert read == INVITATION


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"server": "10.0.0.1"}, "not ADDRESS:PORT"),
        ({"server": ":6443"}, "not ADDRESS:PORT"),
        ({"token": "abcdef.short"}, "the token has not the form"),
        ({"ca_hash": "sha256:12"}, "the hash of the authority"),
        ({"pod_cidr": "10.0.0.0/24"}, "is outside of"),
        ({"pod_cidr": "nothing"}, "nothing"),
    ],
)
def test_a_damaged_line_is_refused(change: dict[str, str], why: str) -> None:
    with pytest.raises(InvitationError, match=why):
        replace(INVITATION, **change).check()


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not on PATH")
def test_the_hash_is_that_of_the_public_key(tmp_path: Path) -> None:
    ca = write_certificates(tmp_path)["ca"]
    commands = f"openssl x509 -pubkey -noout -in {ca} | openssl pkey -pubin -outform der"
    der = subprocess.run(["sh", "-c", commands], check=True, capture_output=True).stdout
    assert ca_hash(ca.read_bytes()) == "sha256:" + hashlib.sha256(der).hexdigest()


def test_each_machine_gets_addresses_of_its_own() -> None:
    assert free_pod_cidr("10.244.0.0/16", {"10.244.1.0/24", ""}) == "10.244.16.0/24"
    assert free_pod_cidr("10.244.0.0/16", {"10.244.16.0/24", "10.244.18.0/24"}) == "10.244.17.0/24"
    with pytest.raises(InvitationError, match="belongs to a node"):
        free_pod_cidr("10.244.0.0/16", {f"10.244.{third}.0/24" for third in range(256)})


def node(name: str, address: str, cidr: str | None) -> Node:
    addresses = [NodeAddress(type="Hostname", address=name), NodeAddress(type="InternalIP", address=address)]
    return Node(metadata=ObjectMeta(name=name), spec=NodeSpec(podCIDR=cidr), status=NodeStatus(addresses=addresses))


def test_nodes_on_other_machines_have_routes() -> None:
    nodes = [
        node("worker-1", "172.30.0.11", "10.244.1.0/24"),  # the launcher's own
        node("b", "10.0.0.2", "10.244.16.0/24"),
        node("c", "10.0.0.3", "10.244.17.0/24"),
        node("new", "10.0.0.4", None),
    ]
    assert wanted_routes(nodes, "172.30.0.0/24") == {"10.244.16.0/24": "10.0.0.2", "10.244.17.0/24": "10.0.0.3"}
    assert wanted_routes(nodes, "172.30.0.0/24", "b") == {"10.244.17.0/24": "10.0.0.3"}


def test_routes_change_as_nodes_come_and_go() -> None:
    current = {"10.244.16.0/24": "10.0.0.2", "10.244.17.0/24": "10.0.0.3"}
    wanted = {"10.244.17.0/24": "10.0.0.9", "10.244.18.0/24": "10.0.0.4"}
    assert plan(current, wanted, 7) == [
        "route delete 10.244.16.0/24 metric 7",
        "route replace 10.244.17.0/24 via 10.0.0.9 metric 7",
        "route replace 10.244.18.0/24 via 10.0.0.4 metric 7",
    ]
    assert plan(wanted, wanted, 7) == []
