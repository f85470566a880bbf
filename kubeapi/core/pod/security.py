"""Security contexts of a pod and of its containers."""

from __future__ import annotations

from typing import Annotated

from apimachinery.model import Int64, Model, OneOf


class Capabilities(Model, protobuf="add drop"):
    """Linux capabilities, such as NET_ADMIN."""

    add: list[str] | None = None
    """Capabilities to add to those that the runtime gives; ALL stands for every one."""
    drop: list[str] | None = None
    """Capabilities to remove; ALL stands for every one."""


class SELinuxOptions(Model, protobuf="user role type level"):
    """An SELinux label."""

    user: str | None = None
    """The label's user."""
    role: str | None = None
    """The label's role."""
    type: str | None = None
    """The label's type."""
    level: str | None = None
    """The label's level."""


class WindowsSecurityContextOptions(
    Model,
    protobuf="gmsaCredentialSpecName* gmsaCredentialSpec* runAsUserName* hostProcess*",
):
    """Settings for containers on Windows."""

    gmsaCredentialSpecName: str | None = None
    """The name of the credential specification of a group managed service account."""
    gmsaCredentialSpec: str | None = None
    """The specification itself."""
    runAsUserName: str | None = None
    """The user that the process runs as."""
    hostProcess: bool | None = None
    """Whether the container runs on the host itself. It must be the same for all containers of a pod."""


class SeccompProfile(Model, protobuf="type localhostProfile*"):
    """The seccomp profile that limits the system calls of a container."""

    type: Annotated[str, OneOf("Localhost", "RuntimeDefault", "Unconfined")] = ""
    """RuntimeDefault for the runtime's own profile, Unconfined for none, Localhost for a file on the node."""
    localhostProfile: str | None = None
    """The file of a Localhost profile, below the kubelet's seccomp directory."""


class AppArmorProfile(Model, protobuf="type localhostProfile*"):
    """The AppArmor profile that confines a container."""

    type: Annotated[str, OneOf("Localhost", "RuntimeDefault", "Unconfined")] = ""
    """RuntimeDefault for the runtime's own profile, Unconfined for none, Localhost for one loaded on the node."""
    localhostProfile: str | None = None
    """The name of a Localhost profile, as it was loaded on the node."""


class SecurityContext(
    Model,
    protobuf="capabilities privileged* seLinuxOptions runAsUser* runAsNonRoot* readOnlyRootFilesystem* "
    "allowPrivilegeEscalation* runAsGroup* procMount* windowsOptions seccompProfile appArmorProfile",
):
    """Privileges and identity of one container."""

    capabilities: Capabilities | None = None
    """Capabilities to add and to remove."""
    privileged: bool | None = None
    """Whether the container has nearly all rights of root on the node. Default: false."""
    seLinuxOptions: SELinuxOptions | None = None
    """The SELinux label of the container. Default: the pod's, else one that the runtime chooses."""
    windowsOptions: WindowsSecurityContextOptions | None = None
    """Settings for Windows, which override the pod's."""
    runAsUser: Int64 | None = None
    """The user id that the process runs as. Default: the pod's, else the image's."""
    runAsGroup: Int64 | None = None
    """The group id that the process runs as. Default: the pod's, else the runtime's."""
    runAsNonRoot: bool | None = None
    """Whether the container must not start as user 0. Default: the pod's."""
    readOnlyRootFilesystem: bool | None = None
    """Whether the root file system of the container is read-only. Default: false."""
    allowPrivilegeEscalation: bool | None = None
    """Whether a process may gain more rights than its parent has, as by setuid. Always true when privileged. Default:
    true."""
    procMount: Annotated[str, OneOf("Default", "Unmasked")] | None = None
    """Default hides some parts of /proc; Unmasked hides none and requires hostUsers to be false."""
    seccompProfile: SeccompProfile | None = None
    """The system calls the container may make. Default: the pod's."""
    appArmorProfile: AppArmorProfile | None = None
    """The AppArmor profile of the container. Default: the pod's."""


class Sysctl(Model, protobuf="name value"):
    """A kernel parameter of the pod."""

    name: str = ""
    """The name of the parameter, such as net.core.somaxconn."""
    value: str = ""
    """The value of the parameter as text."""


class PodSecurityContext(
    Model,
    protobuf="seLinuxOptions runAsUser* runAsNonRoot* supplementalGroups fsGroup* runAsGroup* sysctls windowsOptions "
    "fsGroupChangePolicy* seccompProfile appArmorProfile supplementalGroupsPolicy* seLinuxChangePolicy*",
):
    """Privileges and identity of all containers of a pod, and the ownership of its volumes."""

    seLinuxOptions: SELinuxOptions | None = None
    """The SELinux label of containers that do not have their own."""
    windowsOptions: WindowsSecurityContextOptions | None = None
    """Settings for Windows for all containers."""
    runAsUser: Int64 | None = None
    """The user id of containers that do not set one. Default: the image's."""
    runAsGroup: Int64 | None = None
    """The group id of containers that do not set one. Default: the runtime's."""
    runAsNonRoot: bool | None = None
    """Whether containers must not start as user 0."""
    supplementalGroups: list[Int64] | None = None
    """Further groups of the first process of each container."""
    supplementalGroupsPolicy: Annotated[str, OneOf("Merge", "Strict")] | None = None
    """Merge (the default) adds the groups from the image's /etc/group, Strict does not."""
    fsGroup: Int64 | None = None
    """A group that owns the pod's volumes and includes all processes."""
    sysctls: list[Sysctl] | None = None
    """Kernel parameters that are set for the pod alone."""
    fsGroupChangePolicy: Annotated[str, OneOf("Always", "OnRootMismatch")] | None = None
    """Always (the default) sets the ownership of a volume's files at each mount; OnRootMismatch only if that of the
    root differs."""
    seccompProfile: SeccompProfile | None = None
    """The seccomp profile of containers that do not have their own."""
    appArmorProfile: AppArmorProfile | None = None
    """The AppArmor profile of containers that do not have their own."""
    seLinuxChangePolicy: str | None = None
    """The way in which volumes get the SELinux label: MountOption (the default) or Recursive."""
