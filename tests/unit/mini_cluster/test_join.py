"""Joining: the line and what is wrong with one, the authority's hash, addresses, and the routes to other machines."""

from __future__ import annotations

import hashlib
import json
import shutil
import ssl
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from mini_cluster.cli.main import main, parser
from mini_cluster.cluster.component import Programs
from mini_cluster.cluster.joined import HOST, KUBELET, components_of
from mini_cluster.cluster.layout import Layout
from mini_cluster.cluster.state import ClusterState, EtcdPorts, Joined, Ports, choose_ports, save_state
from mini_cluster.cluster.worker_host import node_component_names
from mini_cluster.join.cluster import is_own_address
from mini_cluster.join.discovery import DiscoveryError, check_vacancy, find_authority
from mini_cluster.join.invitation import Invitation, InvitationError, ca_hash
from tests.kits.identity.certificates import write_certificates
from tests.kits.net.httpserver import Quiet, serve_in_thread

INVITATION = Invitation(
    "10.0.0.1:6443",
    "abcdef.0123456789abcdef",
    "sha256:" + "1" * 64,
    "10.244.0.0/16",
    "172.30.0.0/24",
)


def test_the_line_says_what_it_is_read_as() -> None:
    INVITATION.check()
    options = parser().parse_args(INVITATION.command.split()[1:])
    read = Invitation(options.server, options.token, options.ca_hash, options.pod_network, options.host_network)
    assert read == INVITATION


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"server": "10.0.0.1"}, "not ADDRESS:PORT"),
        ({"server": ":6443"}, "not ADDRESS:PORT"),
        ({"token": "abcdef.short"}, "the token has not the form"),
        ({"ca_hash": "sha256:12"}, "the hash of the authority"),
        ({"pod_network": "nothing"}, "nothing"),
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


class Answers(Quiet, BaseHTTPRequestHandler):
    """Answers every GET with `cluster_info`."""

    cluster_info: ClassVar[bytes] = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.cluster_info)))
        self.end_headers()
        self.wfile.write(self.cluster_info)


@contextmanager
def impostor(files: dict[str, Path], authorities: bytes) -> Iterator[str]:
    """Serves a cluster-info with these authorities by a certificate from `files`; "ADDRESS:PORT"."""
    cluster = {"certificate-authority-data": b64encode(authorities).decode()}
    kubeconfig = json.dumps({"clusters": [{"name": "", "cluster": cluster}]})
    Answers.cluster_info = json.dumps({"data": {"kubeconfig": kubeconfig}}).encode()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["server"], files["server-key"])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serve_in_thread(server):
        yield f"127.0.0.1:{server.server_port}"


@pytest.mark.parametrize("own_first", [True, False])
def test_an_authority_beside_the_clusters_own_is_not_believed(tmp_path: Path, own_first: bool) -> None:
    (tmp_path / "cluster").mkdir()
    (tmp_path / "other").mkdir()
    own = write_certificates(tmp_path / "cluster")
    other = write_certificates(tmp_path / "other", authority="other CA")
    pems = [own["ca"].read_bytes(), other["ca"].read_bytes()]
    both = b"".join(pems if own_first else reversed(pems))
    invitation = replace(INVITATION, ca_hash=ca_hash(pems[0]))
    with impostor(other, both) as server, pytest.raises(DiscoveryError, match="certificate verify failed"):
        find_authority(replace(invitation, server=server))
    with impostor(own, both) as server:
        assert find_authority(replace(invitation, server=server)) == pems[0]
    with impostor(other, pems[1]) as server, pytest.raises(DiscoveryError, match="is not the cluster that sent"):
        find_authority(replace(invitation, server=server))


def test_a_machine_does_not_take_the_name_of_another() -> None:
    check_vacancy("b", {"worker-1": {"172.30.0.11"}, "new": set()})
    with pytest.raises(DiscoveryError, match="has a node b already"):
        check_vacancy("b", {"b": {"10.0.0.3"}})


def test_two_machines_of_one_name_that_came_at_once_are_told() -> None:
    check_vacancy("b", {"b": {"10.0.0.2"}}, "10.0.0.2")
    with pytest.raises(DiscoveryError, match=r"has a node b already(.|\n)*down --purge"):
        check_vacancy("b", {"b": {"10.0.0.3"}}, "10.0.0.2")


@pytest.mark.parametrize("address", ["", "127.0.0.1", "0.0.0.0", "192.0.2.7", "::1", "host"])
def test_an_address_that_other_machines_cannot_reach_is_not_this_ones(address: str) -> None:
    assert not is_own_address(address)


@pytest.mark.parametrize(
    "command",
    [
        ("node", "add"),
        ("node", "remove", "b"),
        ("node", "stop", "b"),
        ("up", "--nodes", "2"),
        ("join-command",),
        ("etcd", "status"),
        ("etcd", "snapshot", "save", "objects.db"),
    ],
    ids=" ".join,
)
def test_a_joined_machine_leaves_the_cluster_to_the_control_planes(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joined = Joined(INVITATION.server, "b", "10.0.0.2")
    ports = choose_ports("a" * 6, None, lambda _: True)
    file = Layout.of(tmp_path).state
    save_state(file, ClusterState(INVITATION.host_network, INVITATION.pod_network, ports, joined=joined))
    before = file.read_bytes()
    assert main(["--dir", str(tmp_path), *command]) == 1
    assert "run the command on the control plane's machine, 10.0.0.1" in capsys.readouterr().err
    assert file.read_bytes() == before


@pytest.mark.parametrize("ttl", ["0s", "-5s"])
def test_a_line_lasts_for_a_while(ttl: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["join-command", f"--ttl={ttl}"])
    assert "--ttl" in capsys.readouterr().err


def test_a_machine_runs_a_worker_host_alone_whose_kubelet_asks_for_its_certificates() -> None:
    layout = Layout(Path("/srv/host"), Path("/run/mini-kubernetes-abc"))
    joined = Joined("10.0.0.1:6443", "b", "10.0.0.2")
    state = ClusterState("172.30.0.0/24", "10.244.0.0/16", Ports(1, 2, 3, (EtcdPorts(4, 5),)), joined=joined)
    programs = Programs(Path("/venv/bin"), "", "/usr/sbin/dockerd", "")
    components = {component.name: component for component in components_of(layout, state, programs)}
    engine, kubelet, kube_proxy, kube_dns, netagent = (components[name] for name in node_component_names(HOST.name))
    assert set(components) == {engine.name, kubelet.name, kube_proxy.name, kube_dns.name, netagent.name}
    assert not any(component.wrapper for component in components.values())  # in the machine's own network
    assert "--bridge=none" in engine.program
    assert {
        f"--pod-bridge={layout.bridge}",
        "--rotate-server-certificates",
        "--hostname-override=b",
        "--node-ip=10.0.0.2",
    } <= set(kubelet.program)
    assert not any(argument.startswith("--tls-cert-file") for argument in kubelet.program)
    assert kube_proxy.needs == kube_dns.needs == netagent.needs == (kubelet.name,)  # which writes the kubeconfig of all
    assert f"--kubeconfig={layout.component_kubeconfig(KUBELET)}" in {*kubelet.program} & {*kube_proxy.program}
