"""Turns a pod's spec into configs for the runtime: sandbox and container. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container
from kubelet.container.limits import container_resources
from kubelet.container.security import merged_security
from kubelet.runtime.configs import (
    NO_LIMITS,
    Bandwidth,
    ContainerConfig,
    ContainerKind,
    DnsConfig,
    Mount,
    PidMode,
    PodRef,
    PortMapping,
    SandboxConfig,
)
from kubelet.runtime.interface import ImageInfo


def pod_ref(pod: Pod) -> PodRef:
    return PodRef(pod.metadata.uid or "", pod.metadata.namespace or "", pod.metadata.name or "")


def sandbox_config(
    pod: Pod,
    *,
    attempt: int,
    dns: DnsConfig | None,
    hostname: str = "",
    memory_volumes: tuple[str, ...] = (),
    runtime_handler: str = "",
    cgroup_parent: str = "",
    bandwidth: Bandwidth = NO_LIMITS,
) -> SandboxConfig:
    """Configures the pod's sandbox. With host networking, hostname and host ports are the node's own."""
    spec = pod.spec
    host_network = bool(spec.hostNetwork)
    sysctls = (spec.securityContext.sysctls if spec.securityContext else None) or ()
    return SandboxConfig(
        pod=pod_ref(pod),
        attempt=attempt,
        hostname="" if host_network else hostname,
        dns=dns,
        host_aliases=tuple((alias.ip, name) for alias in spec.hostAliases or () for name in alias.hostnames or ()),
        ports=port_mappings(pod),
        bandwidth=bandwidth,
        host_network=host_network,
        host_pid=bool(spec.hostPID),
        host_ipc=bool(spec.hostIPC),
        sysctls={dotted_sysctl(sysctl.name): sysctl.value for sysctl in sysctls},
        labels=dict(pod.metadata.labels or {}),
        runtime_handler=runtime_handler,
        host_users=spec.hostUsers is not False,
        memory_volumes=memory_volumes,
        cgroup_parent=cgroup_parent,
    )


def dotted_sysctl(name: str) -> str:
    """Writes "net/ipv4/conf/eth0.1/rp_filter" with dots as separators; a dot inside a part becomes a slash."""
    first = next((char for char in name if char in "./"), ".")
    return name if first == "." else name.translate(str.maketrans("./", "/."))


def port_mappings(pod: Pod) -> tuple[PortMapping, ...]:
    """Lists the host ports of the pod; none with host networking, where its ports are the node's own."""
    if pod.spec.hostNetwork:
        return ()
    return tuple(
        PortMapping(port.hostPort, port.containerPort, port.protocol, port.hostIP or "")
        for container in (*(pod.spec.initContainers or ()), *pod.spec.containers)
        for port in container.ports or ()
        if port.hostPort
    )


@dataclass(frozen=True, slots=True)
class ContainerInputs:
    """Everything that one attempt depends on beside the pod's spec. `command`, `args` and `env` are already expanded.

    `termination_message_host_path` is a file of its own per attempt, in the pod's folder.
    """

    attempt: int
    image: ImageInfo
    spec_hash: str
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    env: Mapping[str, str] | None = None
    mounts: Sequence[Mount] = ()
    supplemental_groups: Sequence[int] = ()  # from volumes, beside the spec's own
    devices: Sequence[tuple[str, str, str]] = ()
    annotations: Mapping[str, str] | None = None
    termination_message_host_path: str = ""
    grace_seconds: int | None = None
    node_memory_bytes: int = 0
    pids_limit: int = 0
    cgroup_parent: str = ""
    pid_target: str = ""
    seccomp_default: str = "Unconfined"  # the profile of a container that names none


def container_config(pod: Pod, container: Container, kind: ContainerKind, inputs: ContainerInputs) -> ContainerConfig:
    spec = pod.spec
    return ContainerConfig(
        pod=pod_ref(pod),
        name=container.name,
        image=container.image or "",
        image_ref=inputs.image.id,
        attempt=inputs.attempt,
        kind=kind,
        spec_hash=inputs.spec_hash,
        command=tuple(inputs.command),
        args=tuple(inputs.args),
        working_dir=container.workingDir or "",
        env=tuple((inputs.env or {}).items()),
        mounts=tuple(inputs.mounts),
        devices=tuple(inputs.devices),
        annotations=dict(inputs.annotations or {}),
        resources=container_resources(pod, container, inputs.node_memory_bytes, inputs.pids_limit),
        cgroup_parent=inputs.cgroup_parent,
        security=merged_security(
            spec.securityContext,
            container.securityContext,
            extra_groups=tuple(inputs.supplemental_groups),
            seccomp_default=inputs.seccomp_default,
        ),
        host_network=bool(spec.hostNetwork),
        host_ipc=bool(spec.hostIPC),
        host_users=spec.hostUsers is not False,
        pid_mode=_pid_mode(pod),
        pid_target=inputs.pid_target,
        tty=bool(container.tty),
        stdin=bool(container.stdin),
        stdin_once=bool(container.stdinOnce),
        termination_message_path=container.terminationMessagePath,
        termination_message_host_path=inputs.termination_message_host_path,
        termination_message_policy=container.terminationMessagePolicy,
        grace_seconds=inputs.grace_seconds,
        labels=dict(pod.metadata.labels or {}),
    )


def _pid_mode(pod: Pod) -> PidMode:
    if pod.spec.hostPID:
        return "host"
    return "pod" if pod.spec.shareProcessNamespace else "container"
