"""The local cloud: what its daemons are told of the worker hosts, and the daemons themselves.

`cloudprovider/providers/local.py` reads the inventory.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mini_cluster.cluster.component import Component, HttpsProbe, Programs
from mini_cluster.cluster.layout import COMPONENT_MARKER, Layout
from mini_cluster.cluster.state import (
    MAX_NODES,
    CloudState,
    ClusterState,
    HostGroup,
    NodeState,
    StateError,
    choose_cloud_ports,
)

CLOUD_CONTROLLER_MANAGER = "cloud-controller-manager"
CLUSTER_AUTOSCALER = "cluster-autoscaler"
PROVIDER, REGION, ZONE = "local", "local", "local-a"
GROUP_LABEL = "mini-kubernetes.io/node-group"


def with_cloud(
    state: ClusterState,
    key: str,
    is_free: Callable[[int], bool],
    groups: Sequence[HostGroup] | None = None,
    unneeded_seconds: float | None = None,
    *,
    hosts: bool = True,
) -> ClusterState:
    """Returns the state with a cloud; `groups` and `unneeded_seconds` are by default those that it has.

    It looks after the hosts with `hosts`, or if it does so already. Each group has its fewest hosts at least.
    Raises: StateError on a machine that has joined, for groups that can't be, and where no port is free.
    """
    state.require_control_plane()
    cloud = state.cloud or CloudState(*choose_cloud_ports(state, key, is_free), hosts=False)
    cloud = replace(cloud, hosts=cloud.hosts or hosts)
    if groups is not None:
        _check_groups(groups)
        cloud = replace(cloud, groups=tuple(groups))
    if unneeded_seconds is not None:
        cloud = replace(cloud, unneeded_seconds=unneeded_seconds)
    state = replace(state, cloud=cloud)
    for group in cloud.groups:
        for _ in range(group.least - sum(node.group == group.name for node in state.nodes)):
            state = state.with_node("", group.name)
    return state


def _check_groups(groups: Sequence[HostGroup]) -> None:
    for group in groups:
        if not 0 <= group.least <= group.most:
            raise StateError(f"the group {group.name} has a minimum of {group.least} and a maximum of {group.most}")
    if len({group.name for group in groups}) < len(groups):
        raise StateError("two groups have the same name")
    if sum(group.most for group in groups) > MAX_NODES:
        raise StateError(f"the groups have more than {MAX_NODES} hosts together, which is the most of one machine")


def without_taken_ports(state: ClusterState, key: str, is_free: Callable[[int], bool]) -> ClusterState:
    """Returns the state with other ports for the cloud where something else took one. Raises: StateError."""
    if state.cloud is None:
        return state
    own = {state.cloud.controller_manager_port, state.cloud.autoscaler_port}
    if all(map(is_free, own)) and not own & {*state.ports.all(), state.registry_port}:
        return state
    manager, autoscaler = choose_cloud_ports(state, key, is_free)
    return replace(state, cloud=replace(state.cloud, controller_manager_port=manager, autoscaler_port=autoscaler))


def group_flags(cloud: CloudState | None, node: NodeState) -> tuple[str, ...]:
    """Returns what the kubelet of a host is told of its cloud and its group."""
    if cloud is None or not cloud.hosts:
        return ()
    group = next((group for group in cloud.groups if group.name == node.group), HostGroup(node.group, 0, 0))
    labels = {**group.labels, GROUP_LABEL: group.name}
    flags = ["--cloud-provider=external", f"--node-labels={_pairs(labels)}"]
    if group.taints:
        flags.append(f"--register-with-taints={','.join(group.taints)}")
    if group.reserved:
        flags.append(f"--system-reserved={_pairs(group.reserved)}")
    return tuple(flags)


def _pairs(values: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in values.items())


def inventory(layout: Layout, state: ClusterState, offered: Mapping[str, str]) -> str:
    """Returns the inventory file; `offered` is what a host has allocatable."""
    assert state.cloud is not None
    launcher = str(Path(sys.executable).parent / "mini-cluster")
    document = {
        "cluster": layout.key,
        "region": REGION,
        "zone": ZONE,
        "hosts": [
            {"name": node.name, "address": state.node_ip(node.index), "on": not node.stopped, "group": node.group}
            for node in state.nodes
        ],
        "balancers": [each.balancers for each in state.cluster_networks],
        "groups": [_shown(group, offered) for group in state.cloud.groups],
        # Without the mark, a restart of the autoscaler does not end what the command has started.
        "command": ["env", "-u", COMPONENT_MARKER, launcher, "--quiet", "--dir", str(layout.root)],
    }
    return json.dumps(document, indent=2) + "\n"


def _shown(group: HostGroup, offered: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": group.name,
        "min": group.least,
        "max": group.most,
        "allocatable": {**offered, **group.sizes},
        "labels": {**group.labels, GROUP_LABEL: group.name},
        "taints": list(group.taints),
    }


def scheduler_config(layout: Layout, flag: str) -> tuple[str, ...]:
    """Returns the flag for the user's configuration of the scheduler, if there is one."""
    return (f"{flag}={layout.scheduler_config}",) if layout.scheduler_config.exists() else ()


def cloud_components(
    layout: Layout, cloud: CloudState, programs: Programs, flags: Callable[[str, int], tuple[str, ...]], *, needs: str
) -> list[Component]:
    """Returns the daemons; `flags` are those that they share with others of the control plane, by name and port."""
    provider = (f"--cloud-provider={PROVIDER}", f"--cloud-config={layout.inventory}")
    manager = (*flags(CLOUD_CONTROLLER_MANAGER, cloud.controller_manager_port), "--use-service-account-credentials")
    if not cloud.hosts:
        manager = (*manager, "--controllers=service-lb-controller")
    daemons = [(CLOUD_CONTROLLER_MANAGER, cloud.controller_manager_port, manager)]
    if cloud.groups:
        autoscaler = (
            *flags(CLUSTER_AUTOSCALER, cloud.autoscaler_port),
            f"--scale-down-unneeded-time={cloud.unneeded_seconds:g}s",
            f"--scale-down-delay-after-add={cloud.unneeded_seconds:g}s",
            *scheduler_config(layout, "--scheduler-config-file"),
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
