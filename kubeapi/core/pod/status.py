"""`status` of a pod, written by its kubelet."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.meta import StatusCondition
from apimachinery.model import Atomic, Int32, Int64, MergeKey, Model, Required, Time
from apimachinery.quantity import ResourceList
from kubeapi.core.pod.spec import ResourceRequirements


class PodCondition(
    StatusCondition, protobuf="type status lastProbeTime lastTransitionTime reason message observedGeneration"
):
    """A condition of a pod."""

    type: str = ""
    """The aspect of the pod: PodScheduled, Initialized, ContainersReady, Ready, DisruptionTarget, or that of a
    readiness gate."""
    observedGeneration: Int64 | None = None
    """The metadata.generation of the pod that the observation was made for."""
    lastProbeTime: Annotated[Time, NullIfEmpty()] = ""
    """The time of the last check."""


class HostIP(Model, protobuf="ip"):
    """An address of the node."""

    ip: str = ""
    """The node's address."""


class PodIP(Model, protobuf="ip"):
    """An address of the pod."""

    ip: str = ""
    """The pod's address."""


class ContainerStateWaiting(Model, protobuf="reason message"):
    """The state of a container that waits to run."""

    reason: str | None = None
    """The reason for waiting in one word, such as ContainerCreating, ImagePullBackOff or CrashLoopBackOff."""
    message: str | None = None
    """The reason for waiting in a sentence."""


class ContainerStateRunning(Model, protobuf="startedAt"):
    """The state of a running container."""

    startedAt: Annotated[Time, NullIfEmpty()] = ""
    """The time at which the container was started."""


class ContainerStateTerminated(Model, protobuf="exitCode signal reason message startedAt finishedAt containerID"):
    """The state of a container that has ended."""

    exitCode: Int32 = 0
    """The exit code of the container's process."""
    signal: Int32 | None = None
    """The signal that ended it, as a number."""
    reason: str | None = None
    """The reason for the end in one word, such as Completed, Error or OOMKilled."""
    message: str | None = None
    """The termination message of the container, or the reason why it could not be started."""
    startedAt: Annotated[Time, NullIfEmpty()] = ""
    """The time at which that run began."""
    finishedAt: Annotated[Time, NullIfEmpty()] = ""
    """The time at which that run ended."""
    containerID: str | None = None
    """The id of the container that ended, as in TYPE://ID."""


class ContainerState(Model, protobuf="waiting running terminated"):
    """The state of a container. At most one member is set; if none is, the container is waiting."""

    waiting: ContainerStateWaiting | None = None
    """Present while the container waits to run."""
    running: ContainerStateRunning | None = None
    """Present while the container runs."""
    terminated: ContainerStateTerminated | None = None
    """Present when the container has ended."""


class VolumeMountStatus(Model, protobuf="name mountPath readOnly recursiveReadOnly*"):
    """The state of a volume mount in a container."""

    name: str = ""
    """The volume that is mounted."""
    mountPath: str = ""
    """The path of the mount in the container."""
    readOnly: bool | None = None
    """Whether the mount is read-only."""
    recursiveReadOnly: str | None = None
    """Whether mounts below this mount are read-only too: Disabled or Enabled."""


class LinuxContainerUser(Model, protobuf="uid gid supplementalGroups"):
    """The ids that a container's first process started with."""

    uid: Int64 = 0
    """The user id of the process."""
    gid: Int64 = 0
    """The group id of the process."""
    supplementalGroups: list[Int64] | None = None
    """The supplementary groups of the process."""


class ContainerUser(Model, protobuf="linux"):
    """The user that a container's first process started as."""

    linux: LinuxContainerUser | None = None
    """The ids on Linux."""


class ResourceHealth(Model, protobuf="resourceID health"):
    """The health of one device."""

    resourceID: str = ""
    """The id that the device's driver gave it."""
    health: str | None = None
    """Healthy, Unhealthy or Unknown."""


class ResourceStatus(Model, protobuf="name resources"):
    """The health of a container's devices."""

    name: str = ""
    """The name of the resource, such as claim:NAME/REQUEST or that of a device plugin."""
    resources: list[ResourceHealth] | None = None
    """The devices of that resource."""


class ContainerStatus(
    Model,
    protobuf="name state lastState ready restartCount image imageID containerID started* allocatedResources resources "
    "volumeMounts user allocatedResourcesStatus stopSignal*",
):
    """The observed state of one container."""

    name: str = ""
    """The container's name in the pod's spec."""
    state: ContainerState = Field(default_factory=ContainerState)
    """The present state of the container."""
    lastState: ContainerState = Field(default_factory=ContainerState)
    """The end of the container's previous run."""
    ready: bool = False
    """Whether the container runs and passes its readiness probe."""
    restartCount: Int32 = 0
    """The number of restarts. The kubelet counts from the remains of earlier runs."""
    image: str = ""
    """The image of the container, as the runtime names it."""
    imageID: str = ""
    """The id of that image."""
    containerID: str | None = None
    """The id of the container, as in TYPE://ID."""
    started: bool | None = None
    """Whether the container has passed its startup probe and its postStart hook."""
    allocatedResources: ResourceList | None = None
    """The requests that the node has granted the container."""
    resources: ResourceRequirements | None = None
    """The requests and limits that are in force."""
    volumeMounts: Annotated[list[VolumeMountStatus], MergeKey("mountPath")] | None = None
    """The volumes that are mounted in the container."""
    user: ContainerUser | None = None
    """The user that the container's first process started as."""
    allocatedResourcesStatus: Annotated[list[ResourceStatus], MergeKey("name")] | None = None
    """The health of the container's devices."""
    stopSignal: str | None = None
    """The signal that stops the container."""


class PodResourceClaimStatus(Model, protobuf="name resourceClaimName*"):
    """The claim behind an entry of spec.resourceClaims."""

    name: str = ""
    """The entry's name in the spec."""
    resourceClaimName: str | None = None
    """The ResourceClaim of the entry; absent if it does not need one."""


class ContainerExtendedResourceRequest(Model):
    """The request of a claim that provides an extended resource of a container."""

    containerName: str = ""
    """The container that has the resource."""
    resourceName: str = ""
    """The extended resource."""
    requestName: str = ""
    """The request of the claim."""


class PodExtendedResourceClaimStatus(Model):
    """The claim for the extended resources of a pod."""

    requestMappings: Annotated[list[ContainerExtendedResourceRequest], Required()] | None = None
    """The requests of the claim, by extended resource."""
    resourceClaimName: str = ""
    """The ResourceClaim for the extended resources."""


class PodStatus(
    Model,
    protobuf="phase conditions message reason hostIP podIP startTime containerStatuses qosClass initContainerStatuses "
    "nominatedNodeName podIPs ephemeralContainerStatuses resize resourceClaimStatuses hostIPs observedGeneration",
):
    """The observed state of a pod, mostly reported by its kubelet."""

    observedGeneration: Int64 | None = None
    """The metadata.generation that the kubelet acted on last."""
    phase: str | None = None
    """The phase of the pod's life: Pending, Running, Succeeded, Failed or Unknown."""
    conditions: Annotated[list[PodCondition], MergeKey("type")] | None = None
    """The conditions of the pod, one of each type."""
    message: str | None = None
    """The reason for the pod's state in a sentence."""
    reason: str | None = None
    """The reason for the pod's state in one word, such as Evicted."""
    nominatedNodeName: str | None = None
    """The node on which other pods are preempted to make room for this pod."""
    hostIP: str | None = None
    """The address of the node. Absent until the pod has one."""
    hostIPs: Annotated[list[HostIP], MergeKey("ip"), Atomic()] | None = None
    """All addresses of the node; the first is hostIP."""
    podIP: str | None = None
    """The address of the pod; absent until it has one."""
    podIPs: Annotated[list[PodIP], MergeKey("ip")] | None = None
    """All addresses of the pod, at most one of each family; the first is podIP."""
    startTime: Time | None = None
    """The time at which the kubelet accepted the pod, before it pulled any image."""
    initContainerStatuses: list[ContainerStatus] | None = None
    """The observed state of each init container."""
    containerStatuses: list[ContainerStatus] | None = None
    """The observed state of each container."""
    qosClass: str | None = None
    """The quality of service when resources run short: Guaranteed, Burstable or BestEffort."""
    ephemeralContainerStatuses: list[ContainerStatus] | None = None
    """The observed state of each ephemeral container."""
    resize: str | None = None
    """The state of a resize: Proposed, Deferred, InProgress or Infeasible. Deprecated in favour of conditions."""
    resourceClaimStatuses: Annotated[list[PodResourceClaimStatus], MergeKey("name")] | None = None
    """The claims behind the entries of spec.resourceClaims."""
    extendedResourceClaimStatus: PodExtendedResourceClaimStatus | None = None
    """The claim for the pod's extended resources."""
    allocatedResources: ResourceList | None = None
    """The requests that the node has granted the pod as a whole."""
    resources: ResourceRequirements | None = None
    """The requests and limits of the pod as a whole that are in force."""
