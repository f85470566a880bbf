"""Security contexts of a pod and of its containers."""

from __future__ import annotations

from typing import Annotated

from apimachinery.model import Int64, Model, OneOf


class Capabilities(Model, protobuf="add drop"):
    """Linux capabilities, such as NET_ADMIN."""

    add: list[str] | None = None
    """Capabilities beyond those that the runtime gives; ALL for every one."""
    drop: list[str] | None = None
    """Capabilities that are taken away; ALL for every one."""


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
    protobuf="gmsaCredentialSpecName gmsaCredentialSpec runAsUserName hostProcess*",
):
    """Settings for containers on Windows."""

    gmsaCredentialSpecName: str | None = None
    """The name of the credential specification of a group managed service account."""
    gmsaCredentialSpec: str | None = None
    """The specification itself."""
    runAsUserName: str | None = None
    """The user that the process runs as."""
    hostProcess: bool | None = None
    """Whether the container runs on the host itself. All containers of a pod must agree."""


class SeccompProfile(Model, protobuf="type localhostProfile"):
    """Which system calls a container may make."""

    type: Annotated[str, OneOf("Localhost", "RuntimeDefault", "Unconfined")] = ""
    """RuntimeDefault for the runtime's own profile, Unconfined for none, Localhost for a file on the node."""
    localhostProfile: str | None = None
    """The file of a Localhost profile, below the kubelet's seccomp directory."""


class AppArmorProfile(Model, protobuf="type localhostProfile"):
    """Which AppArmor profile confines a container."""

    type: Annotated[str, OneOf("Localhost", "RuntimeDefault", "Unconfined")] = ""
    """RuntimeDefault for the runtime's own profile, Unconfined for none, Localhost for one loaded on the node."""
    localhostProfile: str | None = None
    """The name of a Localhost profile, as it was loaded on the node."""


class SecurityContext(
    Model,
    protobuf="capabilities privileged* seLinuxOptions runAsUser* runAsNonRoot* readOnlyRootFilesystem* "
    "allowPrivilegeEscalation* runAsGroup* procMount windowsOptions seccompProfile appArmorProfile",
):
    """Privileges and identity of one container."""

    capabilities: Capabilities | None = None
    """Capabilities that are added and taken away."""
    privileged: bool | None = None
    """Whether the container has nearly all rights of root on the node. Default: false."""
    seLinuxOptions: SELinuxOptions | None = None
    """The SELinux label of the container. Default: the pod's, else one that the runtime chooses."""
    windowsOptions: WindowsSecurityContextOptions | None = None
    """Settings for Windows, which win over the pod's."""
    runAsUser: Int64 | None = None
    """The user id that the process runs as. Default: the pod's, else the image's."""
    runAsGroup: Int64 | None = None
    """The group id that the process runs as. Default: the pod's, else the runtime's."""
    runAsNonRoot: bool | None = None
    """Whether the container may not start as user 0. Default: the pod's."""
    readOnlyRootFilesystem: bool | None = None
    """Whether the container's own files can't be written. Default: false."""
    allowPrivilegeEscalation: bool | None = None
    """Whether a process may gain more rights than its parent has, as by setuid. Always true when privileged. Default:
    true."""
    procMount: Annotated[str, OneOf("Default", "Unmasked")] | None = None
    """Which parts of /proc are hidden: Default hides some, Unmasked none and needs hostUsers false."""
    seccompProfile: SeccompProfile | None = None
    """The system calls the container may make. Default: the pod's."""
    appArmorProfile: AppArmorProfile | None = None
    """The AppArmor profile of the container. Default: the pod's."""


class Sysctl(Model, protobuf="name value"):
    """A kernel parameter of the pod."""

    name: str = ""
    """Its name, such as net.core.somaxconn."""
    value: str = ""
    """Its value as text."""


class PodSecurityContext(
    Model,
    protobuf="seLinuxOptions runAsUser* runAsNonRoot* supplementalGroups fsGroup* runAsGroup* sysctls windowsOptions "
    "fsGroupChangePolicy seccompProfile appArmorProfile supplementalGroupsPolicy seLinuxChangePolicy",
):
    """Privileges and identity of all containers of a pod, and the ownership of its volumes."""

    seLinuxOptions: SELinuxOptions | None = None
    """The SELinux label of all containers that have none of their own."""
    windowsOptions: WindowsSecurityContextOptions | None = None
    """Settings for Windows for all containers."""
    runAsUser: Int64 | None = None
    """The user id of all containers that say nothing else. Default: the image's."""
    runAsGroup: Int64 | None = None
    """The group id of all containers that say nothing else. Default: the runtime's."""
    runAsNonRoot: bool | None = None
    """Whether no container may start as user 0."""
    supplementalGroups: list[Int64] | None = None
    """Further groups of the first process of each container."""
    supplementalGroupsPolicy: Annotated[str, OneOf("Merge", "Strict")] | None = None
    """Whether groups from the image's /etc/group count too: Merge (the default) or Strict."""
    fsGroup: Int64 | None = None
    """A group that owns the pod's volumes and that all processes are in."""
    sysctls: list[Sysctl] | None = None
    """Kernel parameters that are set for the pod alone."""
    fsGroupChangePolicy: Annotated[str, OneOf("Always", "OnRootMismatch")] | None = None
    """When the ownership of a volume's files is set: Always (the default), or OnRootMismatch if its root is not right
    yet."""
    seccompProfile: SeccompProfile | None = None
    """The system calls that containers may make which have no profile of their own."""
    appArmorProfile: AppArmorProfile | None = None
    """The AppArmor profile of containers that have none of their own."""
    seLinuxChangePolicy: str | None = None
    """How volumes get the SELinux label: MountOption (the default) or Recursive."""
