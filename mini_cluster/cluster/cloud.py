"""The local cloud: what its daemons are told of the worker hosts, and the daemons themselves.

`cloudprovider/providers/local.py` reads the inventory.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path

from mini_cluster.cluster.component import Component, HttpsProbe, Programs
from mini_cluster.cluster.layout import COMPONENT_MARKER, Layout
from mini_cluster.cluster.state import CloudState, ClusterState, NodeBounds, StateError, choose_cloud_ports

CLOUD_CONTROLLER_MANAGER = "cloud-controller-manager"
CLUSTER_AUTOSCALER = "cluster-autoscaler"
PROVIDER, REGION, ZONE = "local", "local", "local-a"
GROUP = "workers"


def with_cloud(
    state: ClusterState,
    key: str,
    is_free: Callable[[int], bool],
    bounds: NodeBounds | None = None,
    unneeded_seconds: float | None = None,
) -> ClusterState:
    """Returns the state with a cloud; `bounds` and `unneeded_seconds` are by default those that it has.

    Raises: StateError on a machine that has joined, and where no port is free.
    """
    state.require_control_plane()
    cloud = state.cloud or CloudState(*choose_cloud_ports(state, key, is_free))
    if bounds is not None:
        cloud = replace(cloud, bounds=bounds if bounds.most else None)
    if unneeded_seconds is not None:
        cloud = replace(cloud, unneeded_seconds=unneeded_seconds)
    return replace(state, cloud=cloud)


def without_taken_ports(state: ClusterState, key: str, is_free: Callable[[int], bool]) -> ClusterState:
    """Returns the state with other ports for the cloud where something else took one. Raises: StateError."""
    if state.cloud is None:
        return state
    own = {state.cloud.controller_manager_port, state.cloud.autoscaler_port}
    if all(map(is_free, own)) and not own & {*state.ports.all(), state.registry_port}:
        return state
    manager, autoscaler = choose_cloud_ports(state, key, is_free)
    return replace(state, cloud=replace(state.cloud, controller_manager_port=manager, autoscaler_port=autoscaler))


def check_node_count(state: ClusterState, count: int) -> None:
    """Raises: StateError for a number of hosts that the autoscaler would not leave so."""
    bounds = state.cloud.bounds if state.cloud else None
    if bounds and not bounds.least <= count <= bounds.most:
        raise StateError(f"{count} worker hosts are not within {bounds.least}:{bounds.most}, as --autoscale has it")


def inventory(layout: Layout, state: ClusterState, offered: Mapping[str, str]) -> str:
    """Returns the inventory file; `offered` is what a host has allocatable."""
    assert state.cloud is not None
    bounds = state.cloud.bounds
    group = {"name": GROUP, "min": bounds.least, "max": bounds.most, "allocatable": dict(offered)} if bounds else None
    launcher = str(Path(sys.executable).parent / "mini-cluster")
    document = {
        "cluster": layout.key,
        "region": REGION,
        "zone": ZONE,
        "hosts": [
            {"name": node.name, "address": state.node_ip(node.index), "on": not node.stopped} for node in state.nodes
        ],
        "balancers": f"{IPv4Network(state.subnet)[128]}/25",
        "group": group,
        # What it starts is no part of the autoscaler, which may be restarted meanwhile.
        "command": ["env", "-u", COMPONENT_MARKER, launcher, "--quiet", "--dir", str(layout.root)],
    }
    return json.dumps(document, indent=2) + "\n"


def cloud_components(
    layout: Layout, cloud: CloudState, programs: Programs, flags: Callable[[str, int], tuple[str, ...]], *, needs: str
) -> list[Component]:
    """Returns the daemons; `flags` are those that they share with others of the control plane, by name and port."""
    provider = (f"--cloud-provider={PROVIDER}", f"--cloud-config={layout.inventory}")
    manager = (*flags(CLOUD_CONTROLLER_MANAGER, cloud.controller_manager_port), "--use-service-account-credentials")
    daemons = [(CLOUD_CONTROLLER_MANAGER, cloud.controller_manager_port, manager)]
    if cloud.bounds:
        autoscaler = (
            *flags(CLUSTER_AUTOSCALER, cloud.autoscaler_port),
            f"--scale-down-unneeded-time={cloud.unneeded_seconds:g}s",
            f"--scale-down-delay-after-add={cloud.unneeded_seconds:g}s",
        )
        daemons.append((CLUSTER_AUTOSCALER, cloud.autoscaler_port, autoscaler))
    return [
        Component(
            name,
            (programs.script(name), *own, *provider),
            HttpsProbe("127.0.0.1", port, "/healthz"),
            needs=(needs,),
        )
        for name, port, own in daemons
    ]
