"""Nodes, pods and groups for tests of the cluster autoscaler, without an API server."""

from __future__ import annotations

import itertools
from typing import Any

from apimachinery.model import from_dict
from cloudprovider.interface import NodeGroup
from cluster_autoscaler.groups import GroupState, group_state, pods_by_node
from cluster_autoscaler.simulation import Rules
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubeapi.policy.poddisruptionbudget import PodDisruptionBudget
from scheduler.configuration.load import Configuration
from tests.kits.control_plane.scheduler import FakeLister

NOW = 1_700_000_000.0
_uids = itertools.count(1)


def rules(configuration: Configuration | None = None) -> Rules:
    return Rules(FakeLister(), configuration)


def node(name: str = "n1", cpu: str = "4", *, ready: bool = True, **more: Any) -> Node:
    """`labels`, `annotations` are its metadata, `allocatable` adds resources, the rest is its spec."""
    resources = {"cpu": cpu, "memory": "8Gi", "pods": "110"} | more.pop("allocatable", {})
    labels = {"kubernetes.io/hostname": name} | more.pop("labels", {})
    metadata = {"name": name, "labels": labels, "annotations": more.pop("annotations", {})}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    status = {"allocatable": resources, "capacity": resources, "conditions": conditions}
    spec = {"providerID": f"fake://{name}"} | more
    return from_dict(Node, {"metadata": metadata, "spec": spec, "status": status})


def pod(name: str = "web", cpu: str = "1", owner: str = "ReplicaSet", /, *, on: str = "", **more: Any) -> Pod:
    """A pod on a node, or one that the scheduler found none for; `owner` is the kind of its controller, or ""."""
    metadata: dict[str, Any] = {"name": name, "namespace": more.pop("namespace", "default")}
    metadata |= {"uid": f"uid-{next(_uids)}", "labels": more.pop("labels", {})}
    metadata["annotations"] = more.pop("annotations", {})
    if owner:
        reference = {"apiVersion": "v1", "kind": owner, "name": "owner", "uid": f"uid-{owner}", "controller": True}
        metadata["ownerReferences"] = [reference]
    if more.pop("deleted", False):
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    status = {"phase": "Running"} if on else {"phase": "Pending", "conditions": [waits]}
    status |= more.pop("status", {})
    container = {"name": "app", "image": "app:1", "resources": {"requests": {"cpu": cpu}}}
    spec = {"containers": [container], "nodeName": on or None} | more
    return from_dict(Pod, {"metadata": metadata, "spec": spec, "status": status})


def budget(allowed: int, namespace: str = "default", **labels: str) -> PodDisruptionBudget:
    spec = {"selector": {"matchLabels": labels}, "maxUnavailable": 1}
    document = {"metadata": {"name": "budget", "namespace": namespace}, "spec": spec}
    return from_dict(PodDisruptionBudget, document | {"status": {"disruptionsAllowed": allowed}})


def state(
    *nodes: Node,
    name: str = "workers",
    least: int = 0,
    most: int = 5,
    pods: tuple[Pod, ...] = (),
    fallback: Node | None = None,
    goal: int = 0,
    members: tuple[str, ...] = (),
    waited: dict[str, float] | None = None,
    backed_off: bool = False,
) -> GroupState:
    """A group of these nodes; `members` are further machines, that have no node."""
    ids = frozenset({item.spec.providerID or "" for item in nodes} | {f"fake://{item}" for item in members})
    return group_state(
        NodeGroup(name, least, most, ids),
        nodes,
        pods_by_node(pods),
        fallback or node(f"{name}-template"),
        goal=goal,
        waited=waited or {},
        now=NOW,
        provision_seconds=900,
        backed_off=backed_off,
    )
