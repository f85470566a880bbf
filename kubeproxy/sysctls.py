"""Switches on the kernel settings of this network namespace without which the rules do nothing."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from componentbase.host.sysctls import PROC_SYS, switch_on
from kubeproxy.settings import Family

_FORWARDING_CONSEQUENCE = "packets are not routed between pods, nodes and services"
_BRIDGE_CONSEQUENCE = "a pod gets no answer from a service whose endpoint is on its own node"
NEEDED: dict[Family, tuple[tuple[str, str], ...]] = {
    4: (("net/ipv4/ip_forward", _FORWARDING_CONSEQUENCE), ("net/bridge/bridge-nf-call-iptables", _BRIDGE_CONSEQUENCE)),
    6: (
        ("net/ipv6/conf/all/forwarding", _FORWARDING_CONSEQUENCE),
        ("net/bridge/bridge-nf-call-ip6tables", _BRIDGE_CONSEQUENCE),
    ),
}
ROUTE_LOCALNET = ("net/ipv4/conf/all/route_localnet", "NodePorts do not answer on 127.0.0.1")


def switch_on_needed(families: Collection[Family], root: Path = PROC_SYS) -> None:
    for family in families:
        for setting in NEEDED[family]:
            switch_on(setting, root)
