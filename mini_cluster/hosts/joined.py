"""The network of a machine that has joined a cluster: the way into its pods' bridge, to the others, the DNS' address.

Its pods reach those of other machines by the control plane's machine, unless a route to their node is known. Every
function can be repeated and repairs what is missing.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from mini_cluster.cluster.families import SERVICE_CIDRS, dns_address, loopback_address
from mini_cluster.cluster.joined import HOST
from mini_cluster.cluster.layout import Layout
from mini_cluster.cluster.state import ClusterState, Joined
from mini_cluster.hosts.network import BRIDGE_FILTER, HOST_SYSCTLS, PacketRule
from mini_cluster.machine.commands import run, succeeds


def joined_rules(bridge: str, state: ClusterState) -> list[PacketRule]:
    """Returns the machine's packet rules. Into the bridge go packets of pods, of Services, and answers.

    A Service's address that kube-proxy has not translated goes nowhere.
    """
    nowhere = ("-d", SERVICE_CIDRS[4], "-j", "REJECT", "--reject-with", "icmp-host-unreachable")
    inward = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED,DNAT", "-j", "ACCEPT")
    return [
        PacketRule("filter", "FORWARD", ("-i", bridge, "-j", "ACCEPT")),
        PacketRule("filter", "FORWARD", ("-o", bridge, *inward)),
        PacketRule("filter", "FORWARD", ("-o", bridge, "-s", state.pod_network, "-j", "ACCEPT")),
        PacketRule("filter", "FORWARD", ("-i", bridge, *nowhere)),
        PacketRule("filter", "OUTPUT", ("!", "-o", "lo", *nowhere), at_head=False),
    ]


def link_lines(layout: Layout, state: ClusterState, joined: Joined) -> list[str]:
    """Returns lines for `ip -batch`: the DNS' address, and routes to pods and hosts behind the control plane."""
    metric = layout.hub_route_metric
    return [
        f"{loopback_address(dns_address(SERVICE_CIDRS[4]))} label {layout.loopback_label}",
        f"route replace {state.pod_network} via {joined.hub} metric {metric}",
        f"route replace {state.subnet} via {joined.hub} metric {metric}",
    ]


def ensure_joined(layout: Layout, state: ClusterState, joined: Joined) -> None:
    """Makes the routes, packet rules and sysctls. Raises: MachineCommandError."""
    if not BRIDGE_FILTER.exists() and shutil.which("modprobe"):
        run(["modprobe", "br_netfilter"], check=False)
    run(["ip", "-batch", "-"], stdin="\n".join(link_lines(layout, state, joined)) + "\n")
    for name, value in HOST_SYSCTLS.items():
        file = Path("/proc/sys", name)
        if file.exists():
            file.write_text(f"{value}\n")
    for rule in joined_rules(layout.bridge, state):
        if not succeeds(rule.command("-C", layout.rule_comment)):
            run(rule.command("-I" if rule.at_head else "-A", layout.rule_comment))
    layout.node(HOST.name).run.mkdir(parents=True, exist_ok=True, mode=0o711)
