"""`status` of a pod, written by its kubelet."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.model import Atomic, MergeKey, Model, Time
from apimachinery.quantity import Quantity
from kubeapi._common import Int32, Int64
from kubeapi._podspec import ResourceRequirements


class PodCondition(Model):
    type: str = ""
    observedGeneration: Int64 | None = None
    status: str = ""
    lastProbeTime: Time | None = None
    lastTransitionTime: Time | None = None
    reason: str | None = None
    message: str | None = None


class HostIP(Model):
    ip: str = ""


class PodIP(Model):
    ip: str = ""


class ContainerStateWaiting(Model):
    reason: str | None = None
    message: str | None = None


class ContainerStateRunning(Model):
    startedAt: Time | None = None


class ContainerStateTerminated(Model):
    exitCode: Int32 = 0
    signal: Int32 | None = None
    reason: str | None = None
    message: str | None = None
    startedAt: Time | None = None
    finishedAt: Time | None = None
    containerID: str | None = None


class ContainerState(Model):
    """At most one of its members is set; none means waiting."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class VolumeMountStatus(Model):
    name: str = ""
    mountPath: str = ""
    readOnly: bool | None = None
    recursiveReadOnly: str | None = None


class LinuxContainerUser(Model):
    uid: Int64 = 0
    gid: Int64 = 0
    supplementalGroups: list[Int64] | None = None


class ContainerUser(Model):
    linux: LinuxContainerUser | None = None


class ResourceHealth(Model):
    resourceID: str = ""
    health: str | None = None


class ResourceStatus(Model):
    name: str = ""
    resources: list[ResourceHealth] | None = None


class ContainerStatus(Model):
    name: str = ""
    state: ContainerState = Field(default_factory=ContainerState)
    lastState: ContainerState = Field(default_factory=ContainerState)
    ready: bool = False
    restartCount: Int32 = 0
    image: str = ""
    imageID: str = ""
    containerID: str | None = None
    started: bool | None = None
    allocatedResources: dict[str, Quantity] | None = None
    resources: ResourceRequirements | None = None
    volumeMounts: Annotated[list[VolumeMountStatus], MergeKey("mountPath")] | None = None
    user: ContainerUser | None = None
    allocatedResourcesStatus: Annotated[list[ResourceStatus], MergeKey("name")] | None = None
    stopSignal: str | None = None


class PodResourceClaimStatus(Model):
    name: str = ""
    resourceClaimName: str | None = None


class ContainerExtendedResourceRequest(Model):
    containerName: str = ""
    resourceName: str = ""
    requestName: str = ""


class PodExtendedResourceClaimStatus(Model):
    requestMappings: list[ContainerExtendedResourceRequest] | None = None
    resourceClaimName: str = ""


class PodStatus(Model):
    observedGeneration: Int64 | None = None
    phase: str | None = None
    conditions: Annotated[list[PodCondition], MergeKey("type")] | None = None
    message: str | None = None
    reason: str | None = None
    nominatedNodeName: str | None = None
    hostIP: str | None = None
    hostIPs: Annotated[list[HostIP], MergeKey("ip"), Atomic()] | None = None
    podIP: str | None = None
    podIPs: Annotated[list[PodIP], MergeKey("ip")] | None = None
    startTime: Time | None = None
    initContainerStatuses: list[ContainerStatus] | None = None
    containerStatuses: list[ContainerStatus] | None = None
    qosClass: str | None = None
    ephemeralContainerStatuses: list[ContainerStatus] | None = None
    resize: str | None = None
    resourceClaimStatuses: Annotated[list[PodResourceClaimStatus], MergeKey("name")] | None = None
    extendedResourceClaimStatus: PodExtendedResourceClaimStatus | None = None
    allocatedResources: dict[str, Quantity] | None = None
    resources: ResourceRequirements | None = None
