"""A cluster that lets other machines join, and a machine that has joined one."""

from __future__ import annotations

import os
import socket
import time
from base64 import b64encode
from dataclasses import replace
from ipaddress import IPv4Address

from apimachinery.names import dns_subdomain_errors
from componentbase.host.privatefiles import write_private
from componentbase.net.own_address import OUTSIDE, own_address
from kubeclient.access.config import kubeconfig_text
from mini_cluster.cluster.joined import BOOTSTRAP
from mini_cluster.cluster.state import (
    ClusterState,
    Joined,
    choose_ports,
    is_ipv4,
    link_in_the_way,
    load_state,
    port_is_free,
)
from mini_cluster.cluster.worker_host import KUBE_DNS_HEALTH_PORT, KUBE_PROXY_HEALTH_PORT, KUBELET_PORT, NETAGENT_PORT
from mini_cluster.errors import LauncherError
from mini_cluster.hosts import network as hosts
from mini_cluster.join.discovery import check_vacancy, find_authority, nodes_of_cluster
from mini_cluster.join.invitation import Invitation
from mini_cluster.join.inviting import invite
from mini_cluster.launcher import UP_SECONDS, Cluster
from mini_cluster.machine.programs import HOST_REQUIREMENTS, ensure_requirements

_OTHER_CLUSTER = """\
{folder} has a cluster or worker host already.
  mini-cluster up                         goes on with a join that was interrupted
  mini-cluster down --purge               forgets it, for example to join by another line
  mini-cluster --dir FOLDER join ...      keeps the new one apart"""


_NODE_PORTS = (
    (KUBELET_PORT, "the kubelet"),
    (KUBE_PROXY_HEALTH_PORT, "kube-proxy"),
    (KUBE_DNS_HEALTH_PORT, "kube-dns"),
    (NETAGENT_PORT, "netagent"),
)


class JoinError(LauncherError):
    """This machine can't join, or can't let others join; the message says why."""


class OpenCluster(Cluster):
    """A cluster that worker hosts on other machines may join."""

    def invite(self, address: str = "", ttl_seconds: float = 24 * 3600.0) -> Invitation:
        """Lets machines join, which reach this one by `address`; by default that of the route to the world.

        The first time, the API server is restarted, to listen there.
        Raises: JoinError, StateError, ApiError, and as `up`.
        """
        state = self.state()
        state.require_control_plane()
        address = address or state.join_address or _address_towards(OUTSIDE)
        if not is_own_address(address):
            raise JoinError(f"{address!r} is not an IPv4 address of this machine that other machines can reach")
        if state.ip_family != "ipv4":
            raise JoinError(f"worker hosts on other machines need a cluster of IPv4 addresses, not {state.ip_family}")
        if address != state.join_address:
            with self._locked():
                self._become(state, replace(state, join_address=address), time.monotonic() + UP_SECONDS)
                state = self.state()
        server = f"{address}:{state.ports.api}"
        with self._api(state) as api:
            return invite(api, server, self.layout.certificate("ca"), state.pod_network, state.subnet, ttl_seconds)


class JoinedHost(Cluster):
    """A worker host that is this machine itself; the control plane is on another one."""

    def join(self, invitation: Invitation, node_name: str = "", address: str = "") -> str:
        """Checks what the machine needs, starts the worker host, and returns once its Node is Ready: the node's name.

        Raises: JoinError, InvitationError, DiscoveryError, MissingRequirement, and as `up`.
        """
        invitation.check()
        if load_state(self.layout.state) is not None:
            raise JoinError(_OTHER_CLUSTER.format(folder=self.layout.root))
        name = node_name or socket.gethostname().lower()
        if problems := dns_subdomain_errors(name):
            raise JoinError(f"the node can't be called {name!r}: {problems[0]}")
        address = address or _address_towards(invitation.server.rpartition(":")[0])
        joined = Joined(invitation.server, name, address)
        ports = choose_ports(self.layout.key, None, port_is_free)
        state = ClusterState(invitation.host_network, invitation.pod_network, ports, joined=joined)
        self._check_machine(state)
        authority = find_authority(invitation)
        self.console.good("the cluster is the one that sent the invitation")
        check_vacancy(name, nodes_of_cluster(invitation, authority))
        with self._locked():
            self._write_credentials(invitation, authority)
            self._become(state, state, time.monotonic() + UP_SECONDS)
        check_vacancy(name, nodes_of_cluster(invitation, authority), address)
        return name

    def _check_machine(self, state: ClusterState) -> None:
        """Raises: JoinError, MissingRequirement."""
        if os.geteuid() != 0:
            raise JoinError("a worker host needs root (container engine, packet rules): run the command with sudo")
        ensure_requirements(HOST_REQUIREMENTS, self.console.step)
        for port, user in _NODE_PORTS:
            if not port_is_free(port):
                raise JoinError(f"port {port}, which {user} needs, is in use: does another worker host run here?")
        used = hosts.networks_of_machine()
        if link := link_in_the_way(replace(state, subnet=state.pod_network), used, self.layout.bridge):
            raise JoinError(f"the link {link} has addresses in the cluster's pod network {state.pod_network}")

    def _write_credentials(self, invitation: Invitation, authority: bytes) -> None:
        write_private(self.layout.certificate("ca"), authority, mode=0o644)
        cluster = {
            "server": f"https://{invitation.server}",
            "certificate-authority-data": b64encode(authority).decode(),
        }
        text = kubeconfig_text(cluster, {"token": invitation.token}, name="cluster", user_name="joiner")
        write_private(self.layout.component_kubeconfig(BOOTSTRAP), text.encode())


def _address_towards(host: str) -> str:
    """Returns this machine's address on the way to another. Raises: JoinError without a route."""
    try:
        return own_address(host)
    except OSError as error:
        option = "--address" if host == OUTSIDE else "--node-ip"
        raise JoinError(f"no route to {host} ({error.strerror}): name this machine's address by {option}") from None


def is_own_address(address: str) -> bool:
    """Tells whether it is an IPv4 address of a link of this machine other than loopback."""
    if not is_ipv4(address) or (parsed := IPv4Address(address)).is_loopback or parsed.is_unspecified:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
