"""Decides whether this node can give a pod the kernel settings and the confinement that it asks for. Pure.

Source: Kubernetes documentation, "Using sysctls in a Kubernetes Cluster", "Restrict a Container's Access to Resources
with AppArmor", "Pod OS"; the messages are upstream's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from kubeapi.core.pod.model import Pod
from kubelet.container.config import dotted_sysctl
from kubelet.container.spec import all_containers
from kubelet.pod.status.compute import Failure

SAFE_SYSCTLS = (
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
)
"""Parameters that each pod has for itself and that can't harm others."""

_NAMESPACE_BY_NAME = {"kernel.sem": "ipc"}
_NAMESPACE_BY_PREFIX = {"kernel.shm": "ipc", "kernel.msg": "ipc", "fs.mqueue.": "ipc", "net.": "net"}


@dataclass(frozen=True, slots=True)
class NodePolicy:
    """`unsafe_sysctls`: names, or prefixes with a star, that pods may set beyond the safe ones. `apparmor`: whether the
    host enforces it. `seccomp_default`: the profile of a container that names none."""

    unsafe_sysctls: tuple[str, ...] = ()
    apparmor: bool = False
    seccomp_default: str = "Unconfined"


def pattern_error(patterns: Iterable[str]) -> str:
    """Says which pattern names parameters that a pod can't have for itself; "" when all do."""
    for pattern in patterns:
        if not _namespace(pattern.removesuffix("*")):
            what = "sysctls" if pattern.endswith("*") else "sysctl"
            return f"the {what} {json.dumps(pattern)} are not known to be namespaced"
    return ""


def security_refusal(pod: Pod, policy: NodePolicy) -> Failure | None:
    """Returns None when the node can run the pod as it asks, else reason and message."""
    spec = pod.spec
    if spec.os is not None and spec.os.name != "linux":
        return Failure("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
    if whose := _windows_options(pod):
        return Failure("PodOSNotSupported", f"Failed to admit pod as windowsOptions of {whose} don't fit the node OS")
    for sysctl in (spec.securityContext.sysctls if spec.securityContext else None) or ():
        error = _sysctl_error(dotted_sysctl(sysctl.name), pod, policy)
        if error:
            return Failure("SysctlForbidden", f"forbidden sysctl: {error}")
    if not policy.apparmor and _needs_apparmor(pod):
        return Failure("AppArmor", "Cannot enforce AppArmor: AppArmor is not enabled on the host")
    return None


def _sysctl_error(name: str, pod: Pod, policy: NodePolicy) -> str:
    quoted = json.dumps(name)
    if name not in SAFE_SYSCTLS and not any(_matches(name, pattern) for pattern in policy.unsafe_sysctls):
        return f"{quoted} not allowlisted"
    namespace = _namespace(name)
    if (namespace == "ipc" and pod.spec.hostIPC) or (namespace == "net" and pod.spec.hostNetwork):
        return f"{quoted} not allowed with host {namespace} enabled"
    return ""


def _matches(name: str, pattern: str) -> bool:
    pattern = dotted_sysctl(pattern)
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _namespace(name: str) -> str:
    """Returns "ipc" or "net" for a parameter that each such namespace has for itself, else ""."""
    name = dotted_sysctl(name)
    prefixes = (space for prefix, space in _NAMESPACE_BY_PREFIX.items() if name.startswith(prefix))
    return _NAMESPACE_BY_NAME.get(name) or next(prefixes, "")


def _windows_options(pod: Pod) -> str:
    if pod.spec.securityContext is not None and pod.spec.securityContext.windowsOptions is not None:
        return "the pod"
    contexts = ((container.name, container.securityContext) for _, container in all_containers(pod))
    return next((f"container {name}" for name, context in contexts if context and context.windowsOptions), "")


def _needs_apparmor(pod: Pod) -> bool:
    contexts = (pod.spec.securityContext, *(container.securityContext for _, container in all_containers(pod)))
    profiles = (context.appArmorProfile for context in contexts if context is not None)
    return any(profile is not None and profile.type != "Unconfined" for profile in profiles)
