"""Switches on the kernel settings of this network namespace without which the rules do nothing."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from componentbase import logs
from kubeproxy.settings import Family

PROC_SYS = Path("/proc/sys")

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

log = logs.logger(__name__)


def switch_on_needed(families: Collection[Family], root: Path = PROC_SYS) -> None:
    for family in families:
        for setting in NEEDED[family]:
            switch_on(setting, root)


def switch_on(setting: tuple[str, str], root: Path = PROC_SYS) -> bool:
    """Sets a setting to 1. Where that fails, warns of the consequence and returns False."""
    name, consequence = setting
    path = root / name
    try:
        if path.read_text().strip() != "1":
            path.write_text("1\n")
    except OSError as error:
        log.warning("sysctl could not be set", name=name, error=error.strerror, consequence=consequence)
        return False
    return True
