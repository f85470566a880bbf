"""What the kubelet asks a runtime for: the configurations of a pod's sandbox and of its containers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ContainerKind = Literal["regular", "init", "ephemeral"]
"""A restartable init container (sidecar) is "init"; its restart policy is in the pod's spec."""

PidMode = Literal["container", "pod", "host"]


@dataclass(frozen=True, slots=True)
class PodRef:
    """The pod that a sandbox or container belongs to."""

    uid: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class PortMapping:
    """A hostPort: published on the sandbox. `host_ip` "" means every address."""

    host_port: int
    container_port: int
    protocol: str = "TCP"
    host_ip: str = ""


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Bits a second into and out of the pod; 0 for no limit."""

    ingress: int = 0
    egress: int = 0


NO_LIMITS = Bandwidth()


@dataclass(frozen=True, slots=True)
class DnsConfig:
    """The pod's resolv.conf. No searches means none at all, not the host's."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """A pod's shared namespaces, held by the pause container.

    `dns` None leaves the node's resolv.conf. `hostname` is ignored with `host_network`. `sysctls` are the pod's.
    `attempt` counts the sandboxes of the pod (0, 1, …).
    `memory_volumes` are held by the sandbox, so that their content outlives the pod's containers. `cgroup_parent` is
    the path of the pod's control group; "" leaves it to the engine.
    """

    pod: PodRef
    attempt: int = 0
    hostname: str = ""
    dns: DnsConfig | None = None
    host_aliases: tuple[tuple[str, str], ...] = ()  # (ip, hostname): reach containers without a managed hosts file
    ports: tuple[PortMapping, ...] = ()
    bandwidth: Bandwidth = NO_LIMITS
    host_network: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    host_users: bool = True
    sysctls: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)  # the pod's own labels
    runtime_handler: str = ""
    memory_volumes: tuple[str, ...] = ()
    cgroup_parent: str = ""


@dataclass(frozen=True, slots=True)
class Mount:
    """A bind mount of `source` (an absolute path on the node), or of the memory volume named by `memory_volume`.

    `propagation` is the wire's word: None | HostToContainer | Bidirectional. A missing `source` is an error.
    """

    container_path: str
    source: str = ""
    memory_volume: str = ""
    read_only: bool = False
    propagation: str = "None"


MIN_CPU_SHARES = 2
"""The kernel's least CPU weight."""


@dataclass(frozen=True, slots=True)
class Resources:
    """cgroup limits; 0 means no limit (or the kernel's default weight). Made by `limits.container_resources`."""

    cpu_shares: int = 0
    cpu_quota_us: int = 0
    cpu_period_us: int = 0
    memory_limit_bytes: int = 0
    oom_score_adj: int = 0
    pids_limit: int = 0
    cpuset_cpus: str = ""  # "0-3,8"; "" leaves all
    huge_pages: Mapping[str, int] | None = None  # bytes by size, "2MB" or "1GB"; of a pod's group alone


@dataclass(frozen=True, slots=True)
class Security:
    """Pod and container securityContext, merged (the container's fields win).

    `run_as_user` None leaves the image's user. `strict_groups` leaves out the groups that the image's /etc/group gives
    the user. `seccomp`/`apparmor`: "RuntimeDefault" | "Unconfined" | "Localhost/<profile>". Capabilities have no prefix
    ("NET_ADMIN", "ALL"), and none but ALL is both added and dropped. `selinux` has the parts of a label.
    """

    run_as_user: int | None = None
    run_as_group: int | None = None
    supplemental_groups: tuple[int, ...] = ()
    strict_groups: bool = False
    privileged: bool = False
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    read_only_root_filesystem: bool = False
    no_new_privileges: bool = False
    unmasked_proc: bool = False
    seccomp: str = "Unconfined"
    apparmor: str = "RuntimeDefault"
    selinux: tuple[tuple[str, str], ...] = ()  # ("type", "spc_t"), …


@dataclass(frozen=True, slots=True)
class ContainerConfig:
    """One attempt of one container.

    `image` is what the spec says; `image_ref` is what to run: the id that `image_status` or the image manager gave.
    `command`/`args` are already expanded; an empty tuple leaves the image's own ENTRYPOINT/CMD, and a command
    without args drops the image's CMD. `termination_message_host_path` is an absolute path that the runtime creates
    empty, mounts at `termination_message_path` and reads when the container is over; "" mounts nothing.
    """

    pod: PodRef
    name: str
    image: str
    image_ref: str
    attempt: int = 0  # = the restart count
    kind: ContainerKind = "regular"
    spec_hash: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    devices: tuple[tuple[str, str, str], ...] = ()  # (on the node, in the container, permissions "rwm")
    resources: Resources = Resources()
    cgroup_parent: str = ""  # the path of the pod's control group
    security: Security = Security()
    host_network: bool = False
    host_ipc: bool = False
    host_users: bool = True
    pid_mode: PidMode = "container"
    pid_target: str = ""  # the id of a running container whose processes it joins; wins over `pid_mode`
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False
    stop_signal: str = ""
    termination_message_path: str = ""
    termination_message_host_path: str = ""
    termination_message_policy: str = "File"  # | FallbackToLogsOnError
    grace_seconds: int | None = None  # remembered as a label for whoever kills it after its pod is gone
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
