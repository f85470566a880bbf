"""Makes the bodies of Docker's API (1.41) from sandbox and container configs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubelet.runtime.configs import MIN_CPU_SHARES, ContainerConfig, Mount, Resources, SandboxConfig, Security
from kubelet.runtime.docker.names import container_labels, sandbox_labels
from kubelet.runtime.interface import LinuxUser

PAUSE_OOM_SCORE_ADJ = -998
LOG_FILE_SIZE, LOG_FILES = "10m", "5"  # per container, as upstream; the oldest file is lost
HELD_VOLUMES = "/volumes"
"""The folder of the pause container for the pod's memory volumes: one that no running container mounts is emptied."""
PROPAGATION = {"HostToContainer": "rslave", "Bidirectional": "rshared"}
"""Else the engine's own choice: private, but for a folder that holds its data, such as the node's root."""

READING = "io.kubernetes.docker.reading"
"""The label of containers that only serve to read files of their image."""

# Without privileges a container may reach every device node it is given; masks and read-only paths are lifted.
ANY_DEVICE = "a *:* rwm"


@dataclass(frozen=True, slots=True)
class Host:
    """The rights that the engine has on this machine.

    A host that lacks CAP_SYS_RESOURCE can neither lower an OOM score below `min_oom_score_adj` nor give every
    capability; "privileged" then means all capabilities but `missing_capabilities`. With `user_namespaces` the engine
    puts containers into one unless they ask for the host's users.
    """

    min_oom_score_adj: int = -1000
    missing_capabilities: tuple[str, ...] = ()
    selinux: bool = False
    user_namespaces: bool = False

    def unmet(self, security: Security) -> list[str]:
        """Says what of a security context has no effect here."""
        texts = []
        if security.privileged and self.missing_capabilities:
            names = ", ".join(f"CAP_{name}" for name in self.missing_capabilities)
            texts.append(f"privileged: the host can't grant {names}; the container runs with all other capabilities")
        if security.selinux and not self.selinux:
            texts.append("seLinuxOptions: SELinux is not enabled on the host; the container runs without a label")
        return texts


def sandbox_body(config: SandboxConfig, pause_image: str, host: Host) -> dict[str, Any]:
    """Asks for the pause container, which owns the namespaces that the pod's containers join."""
    host_config: dict[str, Any] = {
        "NetworkMode": "host" if config.host_network else "none",
        "IpcMode": "host" if config.host_ipc else "shareable",
        "PidMode": "host" if config.host_pid else "",
        "UTSMode": "host" if config.host_network else "",
        "UsernsMode": _userns_mode(config.host_users, host),
        "LogConfig": {"Type": "none"},
        "CgroupParent": config.cgroup_parent,
        "CpuShares": MIN_CPU_SHARES,
        "OomScoreAdj": max(PAUSE_OOM_SCORE_ADJ, host.min_oom_score_adj),
        "SecurityOpt": ["no-new-privileges=true"],
        "ExtraHosts": [f"{name}:{ip}" for ip, name in config.host_aliases],
        "Sysctls": dict(config.sysctls),
        "Mounts": [_mount(Mount(f"{HELD_VOLUMES}/{name}", memory_volume=name)) for name in config.memory_volumes],
    }
    if config.runtime_handler:
        host_config["Runtime"] = config.runtime_handler
    if config.dns is not None:
        # "." stands for no search domain at all; an empty list would mean the node's own.
        host_config["Dns"] = list(config.dns.servers)
        host_config["DnsSearch"] = list(config.dns.searches) or ["."]
        host_config["DnsOptions"] = list(config.dns.options)
    body = {"Image": pause_image, "Labels": sandbox_labels(config), "HostConfig": host_config}
    if config.hostname and not config.host_network:
        body["Hostname"] = config.hostname
    return body


def probe_body(pause_image: str, host: Host) -> dict[str, Any]:
    """Asks for a throwaway container with as many rights as `host` may have."""
    host_config = {
        "NetworkMode": "none",
        "LogConfig": {"Type": "none"},
        "OomScoreAdj": max(PAUSE_OOM_SCORE_ADJ, host.min_oom_score_adj),
        **_security(Security(privileged=True), host, ""),
    }
    return {"Image": pause_image, "User": "0:0", "HostConfig": host_config}  # others are given no capabilities


def accounts_body(image: str) -> dict[str, Any]:
    """Asks for a container that is never started, to read files of an image from it."""
    return {"Image": image, "Entrypoint": ["/"], "Labels": {READING: ""}, "HostConfig": {"NetworkMode": "none"}}


def container_body(
    sandbox_id: str, config: ContainerConfig, host: Host, user: LinuxUser, *, seccomp_profile: str = ""
) -> dict[str, Any]:
    """Asks for one container. `user` is whom its image and its security context make; `seccomp_profile` is the JSON of
    a Localhost profile."""
    resources = config.resources
    host_config: dict[str, Any] = {
        "NetworkMode": f"container:{sandbox_id}",
        "IpcMode": "host" if config.host_ipc else f"container:{sandbox_id}",
        "PidMode": _pid_mode(sandbox_id, config),
        "UTSMode": "host" if config.host_network else "",
        "UsernsMode": _userns_mode(config.host_users, host),
        "LogConfig": {"Type": "json-file", "Config": {"max-size": LOG_FILE_SIZE, "max-file": LOG_FILES}},
        "Mounts": [*map(_mount, config.mounts), *_termination_mount(config)],
        "Devices": [
            {"PathOnHost": outside, "PathInContainer": inside, "CgroupPermissions": permissions}
            for outside, inside, permissions in config.devices
        ],
        "CgroupParent": config.cgroup_parent,
        "CpuShares": resources.cpu_shares,
        "CpuQuota": resources.cpu_quota_us,
        "CpuPeriod": resources.cpu_period_us,
        "CpusetCpus": resources.cpuset_cpus,
        "Memory": resources.memory_limit_bytes,
        "MemorySwap": resources.memory_limit_bytes,  # memory and swap together: so no swap
        "PidsLimit": resources.pids_limit or None,
        "OomScoreAdj": max(resources.oom_score_adj, host.min_oom_score_adj),
        **_security(config.security, host, seccomp_profile),
        "GroupAdd": [str(group) for group in user.groups if group != user.gid],
    }
    body: dict[str, Any] = {
        "Image": config.image_ref,
        "Labels": container_labels(sandbox_id, config, user),
        "Env": [f"{name}={value}" for name, value in config.env],
        "WorkingDir": config.working_dir,
        "Tty": config.tty,
        "OpenStdin": config.stdin,
        "StdinOnce": config.stdin and config.stdin_once,
        "User": f"{user.uid}:{user.gid}",
        "Healthcheck": {"Test": ["NONE"]},  # an image's own health check is not the pod's
        "HostConfig": host_config,
    }
    if config.command:
        body["Entrypoint"] = list(config.command)
    if config.args:
        body["Cmd"] = list(config.args)
    if config.stop_signal:
        body["StopSignal"] = config.stop_signal
    return body


def _pid_mode(sandbox_id: str, config: ContainerConfig) -> str:
    if config.pid_target:
        return f"container:{config.pid_target}"
    return {"host": "host", "pod": f"container:{sandbox_id}", "container": ""}[config.pid_mode]


def update_arguments(resources: Resources) -> dict[str, int | str]:
    """Gives the SDK's arguments for new limits of a running container. Memory and swap are one limit, without swap."""
    arguments: dict[str, int | str] = {
        "cpu_shares": resources.cpu_shares,
        "cpu_quota": resources.cpu_quota_us,
        "cpu_period": resources.cpu_period_us,
        "mem_limit": resources.memory_limit_bytes,
        "memswap_limit": resources.memory_limit_bytes,
        "cpuset_cpus": resources.cpuset_cpus,
    }
    return {name: value for name, value in arguments.items() if value}


def _mount(mount: Mount) -> dict[str, Any]:
    if mount.memory_volume:
        return {
            "Type": "volume",
            "Source": mount.memory_volume,
            "Target": mount.container_path,
            "ReadOnly": mount.read_only,
            "VolumeOptions": {"NoCopy": True},  # else the image's files at that path would be copied in
        }
    body = {"Type": "bind", "Source": mount.source, "Target": mount.container_path, "ReadOnly": mount.read_only}
    propagation = PROPAGATION.get(mount.propagation)
    return body | ({"BindOptions": {"Propagation": propagation}} if propagation else {})


def _termination_mount(config: ContainerConfig) -> list[dict[str, Any]]:
    if not config.termination_message_host_path or not config.termination_message_path:
        return []
    return [_mount(Mount(config.termination_message_path, config.termination_message_host_path))]


def _userns_mode(host_users: bool, host: Host) -> str:
    return "host" if host_users and host.user_namespaces else ""


def _security(security: Security, host: Host, seccomp_profile: str) -> dict[str, Any]:
    options = ["no-new-privileges=true"] if security.no_new_privileges else []
    options += _confinement("seccomp", security.seccomp, seccomp_profile)
    options += _confinement("apparmor", security.apparmor, security.apparmor.removeprefix("Localhost/"))
    options += [f"label={name}:{value}" for name, value in security.selinux if host.selinux]
    result: dict[str, Any] = {
        "CapAdd": list(security.add_capabilities),
        "CapDrop": list(security.drop_capabilities),
        "ReadonlyRootfs": security.read_only_root_filesystem,
    }
    if security.privileged and host.missing_capabilities:
        result["CapAdd"] = ["ALL"]
        result["CapDrop"] = sorted({*result["CapDrop"], *host.missing_capabilities})
        result["DeviceCgroupRules"] = [ANY_DEVICE]
        options = ["seccomp=unconfined", "apparmor=unconfined"]
    elif security.privileged:
        result["Privileged"] = True
    elif "ALL" in result["CapAdd"]:
        result["CapDrop"] = sorted({*result["CapDrop"], *host.missing_capabilities})
    if security.unmasked_proc or security.privileged:
        result |= {"MaskedPaths": [], "ReadonlyPaths": []}
    return result | {"SecurityOpt": options}


def _confinement(kind: str, profile: str, localhost: str) -> list[str]:
    """Gives the option for a profile; the engine's own default needs none."""
    if profile == "Unconfined":
        return [f"{kind}=unconfined"]
    return [f"{kind}={localhost}"] if profile.startswith("Localhost/") else []


def memory_volume_body(
    name: str, size_bytes: int, mode: int, page_bytes: int, labels: Mapping[str, str]
) -> dict[str, Any]:
    """Asks for a named volume in memory, of huge pages where `page_bytes` says so, shared by those that mount it."""
    options = f"mode={mode:o}" + (f",size={size_bytes}" if size_bytes else "")
    kind = "hugetlbfs" if page_bytes else "tmpfs"
    options += f",pagesize={page_bytes}" if page_bytes else ""
    driver_opts = {"type": kind, "device": kind, "o": options}
    return {"name": name, "driver": "local", "driver_opts": driver_opts, "labels": dict(labels)}
