"""The commands by which worker hosts on other machines join a cluster."""

from __future__ import annotations

import argparse

from componentbase.flags import parse_duration
from mini_cluster.cli.commands import Commands
from mini_cluster.console import Console
from mini_cluster.join.invitation import Invitation

JOIN_EXAMPLE = """\
The line that `mini-cluster join-command` prints on the control plane's machine, run here as root, makes this machine a
worker host of that cluster. It needs Docker's engine (dockerd), iptables, nftables, iproute2 and conntrack, and
installs what is missing where it can; a machine's own engine and its containers are left alone.

The cluster is known by the hash in the line, so that nobody else can pretend to be it. `mini-cluster status`, `logs`,
`up` and `down` work here as for a whole cluster.
"""


def add_join_commands(commands: Commands) -> None:
    invitation = commands.add(
        "join-command",
        _join_command,
        "print the line that makes another machine a worker host",
        "Prints the line that makes another machine a worker host, once: each machine needs its own.",
    )
    invitation.add_argument(
        "--address",
        default="",
        metavar="IP",
        help="this machine's address, by which the others reach it (by default that of its route to the world)",
    )
    invitation.add_argument(
        "--ttl",
        type=_lifetime,
        default=24 * 3600.0,
        metavar="DURATION",
        help="for how long the line can be used (24h)",
    )
    join = commands.add("join", _join, "make this machine a worker host of a cluster elsewhere", JOIN_EXAMPLE)
    join.add_argument("server", metavar="ADDRESS:PORT", help="the API server")
    join.add_argument(
        "--token", required=True, metavar="TOKEN", help="bootstrap token, such as abcdef.0123456789abcdef"
    )
    join.add_argument(
        "--discovery-token-ca-cert-hash",
        dest="ca_hash",
        required=True,
        metavar="sha256:HASH",
        help="hash of the authority's public key, as kubeadm has it",
    )
    join.add_argument("--pod-network", required=True, metavar="CIDR", help="addresses of all pods of the cluster")
    join.add_argument(
        "--host-network", required=True, metavar="CIDR", help="network of the hosts on the control plane's machine"
    )
    join.add_argument("--node-name", default="", metavar="NAME", help="name of the Node (by default the host name)")
    join.add_argument(
        "--node-ip",
        default="",
        metavar="IP",
        help="this machine's address (by default that of the route to the server)",
    )


def _lifetime(text: str) -> float:
    seconds = parse_duration(text)
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text} is over before it began")
    return seconds


def _join_command(options: argparse.Namespace, console: Console) -> int:
    from mini_cluster.join.cluster import OpenCluster

    print(OpenCluster(options.dir, console).invite(options.address, options.ttl).command)
    return 0


def _join(options: argparse.Namespace, console: Console) -> int:
    from mini_cluster.join.cluster import JoinedHost

    invitation = Invitation(options.server, options.token, options.ca_hash, options.pod_network, options.host_network)
    name = JoinedHost(options.dir, console).join(invitation, options.node_name, options.node_ip)
    console.title(f"This machine is the node {name}")
    console.step("Its serving certificate waits for approval, on the control plane's machine:")
    console.step("  kubectl get csr; kubectl certificate approve NAME")
    return 0
