"""Builds the pods and containers with which `debug` looks into others, by its profiles."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

from kubectl.api.client import Dict

PROBES = {"liveness": "livenessProbe", "readiness": "readinessProbe", "startup": "startupProbe"}
HOST_ROOT = "host-root"  # the volume of a node's files


@dataclass(frozen=True)
class DebugProfile:
    """The rights of a debugging container.

    `cleans`: a copy of a pod loses the labels by which Services and controllers find it, and its probes.
    """

    security: Dict | None = None
    shares_host: bool = False  # on a node: its network, processes and IPC
    mounts_host: bool = False
    cleans: bool = True
    node_security: bool = True  # False: `security` is not for pods on nodes


PROFILES = {
    "legacy": DebugProfile(shares_host=True, mounts_host=True, cleans=False),
    "general": DebugProfile({"capabilities": {"add": ["SYS_PTRACE"]}}, True, True, node_security=False),
    "baseline": DebugProfile(),
    "restricted": DebugProfile({
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }),
    "netadmin": DebugProfile({"capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}}, True),
    "sysadmin": DebugProfile({"privileged": True}, True, True),
}  # fmt: skip


@dataclass(frozen=True)
class KeptParts:
    """The parts of a pod that its copy keeps."""

    labels: bool = False
    annotations: bool = False
    probes: frozenset[str] = frozenset()  # of PROBES
    init_containers: bool = True
    node: bool = False


def with_security(container: Dict, profile: DebugProfile, *, node: bool = False) -> Dict:
    if profile.security is None or (node and not profile.node_security):
        return container
    security = {**container.get("securityContext", {}), **copy.deepcopy(profile.security)}
    return {**container, "securityContext": security}


def node_pod(name: str, node: str, container: Dict, profile: DebugProfile) -> Dict:
    """A pod that runs on the node whatever its taints, with the node's files at /host where the profile mounts them."""
    container = with_security(container, profile, node=True)
    spec: Dict = {"nodeName": node, "restartPolicy": "Never", "tolerations": [{"operator": "Exists"}]}
    if profile.shares_host:
        spec |= {"hostNetwork": True, "hostPID": True, "hostIPC": True}
    if profile.mounts_host:
        container = {**container, "volumeMounts": [{"name": HOST_ROOT, "mountPath": "/host"}]}
        spec["volumes"] = [{"name": HOST_ROOT, "hostPath": {"path": "/"}}]
    spec["containers"] = [container]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def pod_copy(
    pod: Dict,
    name: str,
    change: Callable[[list[Dict]], str | None],
    profile: DebugProfile,
    keep: KeptParts,
    *,
    share_processes: bool | None,
    images: dict[str, str],
) -> tuple[Dict, str | None]:
    """The copy, and the name of the container that `change` adds to the list or changes in it, if any."""
    spec = copy.deepcopy(pod["spec"])
    spec.pop("ephemeralContainers", None)
    if not keep.node:
        spec.pop("nodeName", None)
    if not keep.init_containers:
        spec.pop("initContainers", None)
    meta: Dict = {"name": name, "namespace": pod["metadata"]["namespace"]}
    labels, annotations = pod["metadata"].get("labels"), pod["metadata"].get("annotations")
    containers: list[Dict] = spec["containers"]
    for container in containers:
        container["image"] = images.get(container["name"], images.get("*", container["image"]))
    chosen = change(containers)
    if chosen is not None:
        spec["containers"] = [with_security(c, profile) if c["name"] == chosen else c for c in containers]
        labels = labels if keep.labels and profile.cleans else None
        if profile.cleans:
            annotations = annotations if keep.annotations else None
            _drop_probes(spec, keep.probes)
            spec["shareProcessNamespace"] = True
    if share_processes is not None:
        spec["shareProcessNamespace"] = share_processes
    meta |= {"labels": labels} if labels else {}
    meta |= {"annotations": annotations} if annotations else {}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}, chosen


def _drop_probes(spec: Dict, keep: frozenset[str]) -> None:
    for container in spec["containers"]:
        for name, field in PROBES.items():
            if name not in keep:
                container.pop(field, None)
