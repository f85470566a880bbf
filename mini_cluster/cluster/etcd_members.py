"""The members of a cluster's etcd: one process, or three or five that keep a majority when one is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mini_cluster.cluster.layout import Layout
from mini_cluster.cluster.state import ClusterState

ETCD = "etcd"
"""The only member's component, and the group that several members form."""


@dataclass(frozen=True)
class EtcdMember:
    """One member. All of them listen on loopback."""

    component: str
    """"etcd", or "etcd-1", "etcd-2" …"""
    name: str
    """As etcd itself lists it."""
    client_url: str
    peer_url: str
    data: Path
    """Its folder."""


def etcd_members(layout: Layout, state: ClusterState) -> list[EtcdMember]:
    """All members, in the order of their numbers."""
    alone = len(state.ports.etcd) == 1
    members = []
    for number, ports in enumerate(state.ports.etcd, 1):
        component = ETCD if alone else f"{ETCD}-{number}"
        members.append(
            EtcdMember(
                component,
                "mini-kubernetes" if alone else component,
                f"https://127.0.0.1:{ports.client}",
                f"https://127.0.0.1:{ports.peer}",
                layout.root / component,
            )
        )
    return members


def initial_cluster(members: Sequence[EtcdMember]) -> str:
    """Returns the value of etcd's flag --initial-cluster."""
    return ",".join(f"{member.name}={member.peer_url}" for member in members)
