"""`status` of a pod, written by its kubelet."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.model import Atomic, Int32, Int64, MergeKey, Model, Required, Time
from apimachinery.quantity import Quantity
from kubeapi.core.pod.spec import ResourceRequirements


class PodCondition(Model, protobuf="type status lastProbeTime lastTransitionTime reason message observedGeneration"):
    """One thing that is, or is not, true of a pod."""

    type: str = ""
    """What is observed: PodScheduled, Initialized, ContainersReady, Ready, DisruptionTarget, or a readiness gate's
    own."""
    observedGeneration: Int64 | None = None
    """The metadata.generation of the pod that the observation was made for."""
    status: str = ""
    """Whether it is so: True, False or Unknown."""
    lastProbeTime: Time | None = None
    """When it was last looked at."""
    lastTransitionTime: Time | None = None
    """When `status` last changed from one value to another."""
    reason: str | None = None
    """One CamelCase word that says why, for machines."""
    message: str | None = None
    """A sentence that says why, for people."""


class HostIP(Model, protobuf="ip"):
    """An address of the node."""

    ip: str = ""
    """The node's address."""


class PodIP(Model, protobuf="ip"):
    """An address of the pod."""

    ip: str = ""
    """The pod's address."""


class ContainerStateWaiting(Model, protobuf="reason message"):
    """A container that does not run yet, or not again."""

    reason: str | None = None
    """What it waits for in one word, such as ContainerCreating, ImagePullBackOff or CrashLoopBackOff."""
    message: str | None = None
    """What it waits for, for people to read."""


class ContainerStateRunning(Model, protobuf="startedAt"):
    """A container that runs."""

    startedAt: Time | None = None
    """When it was started."""


class ContainerStateTerminated(Model, protobuf="exitCode signal reason message startedAt finishedAt containerID"):
    """A container that has ended."""

    exitCode: Int32 = 0
    """The exit code of its process."""
    signal: Int32 | None = None
    """The signal that ended it, as a number."""
    reason: str | None = None
    """How it ended in one word, such as Completed, Error or OOMKilled."""
    message: str | None = None
    """What it left in its termination message, or why it could not be started."""
    startedAt: Time | None = None
    """When that run began."""
    finishedAt: Time | None = None
    """When that run ended."""
    containerID: str | None = None
    """The id of the container that ended, as in TYPE://ID."""


class ContainerState(Model, protobuf="waiting running terminated"):
    """At most one of its members is set; none means waiting."""

    waiting: ContainerStateWaiting | None = None
    """Present while it waits to run."""
    running: ContainerStateRunning | None = None
    """Present while it runs."""
    terminated: ContainerStateTerminated | None = None
    """Present when it has ended."""


class VolumeMountStatus(Model, protobuf="name mountPath readOnly recursiveReadOnly"):
    """How a volume is mounted in a container."""

    name: str = ""
    """The volume that is mounted."""
    mountPath: str = ""
    """The path where it is."""
    readOnly: bool | None = None
    """Whether it is read-only."""
    recursiveReadOnly: str | None = None
    """Whether mounts below it are read-only too: Disabled or Enabled."""


class LinuxContainerUser(Model, protobuf="uid gid supplementalGroups"):
    """The ids that a container's first process started with."""

    uid: Int64 = 0
    """Its user id."""
    gid: Int64 = 0
    """Its group id."""
    supplementalGroups: list[Int64] | None = None
    """Its further groups."""


class ContainerUser(Model, protobuf="linux"):
    """Who a container's first process started as."""

    linux: LinuxContainerUser | None = None
    """The ids on Linux."""


class ResourceHealth(Model, protobuf="resourceID health"):
    """The health of one device."""

    resourceID: str = ""
    """The id that the device's driver gave it."""
    health: str | None = None
    """Healthy, Unhealthy or Unknown."""


class ResourceStatus(Model, protobuf="name resources"):
    """The health of devices that a container has."""

    name: str = ""
    """The resource, such as claim:NAME/REQUEST or that of a device plugin."""
    resources: list[ResourceHealth] | None = None
    """The devices of that resource."""


class ContainerStatus(
    Model,
    protobuf="name state lastState ready restartCount image imageID containerID started* allocatedResources resources "
    "volumeMounts user allocatedResourcesStatus stopSignal",
):
    """What is known of one container."""

    name: str = ""
    """The container's name in the pod's spec."""
    state: ContainerState = Field(default_factory=ContainerState)
    """What it does now."""
    lastState: ContainerState = Field(default_factory=ContainerState)
    """How its run before this one ended."""
    ready: bool = False
    """Whether it runs and passes its readiness probe."""
    restartCount: Int32 = 0
    """How often it was restarted. The kubelet counts from what is left of earlier runs."""
    image: str = ""
    """The image that it runs, as the runtime names it."""
    imageID: str = ""
    """The id of that image."""
    containerID: str | None = None
    """The id of the container, as in TYPE://ID."""
    started: bool | None = None
    """Whether it has passed its startup probe and its postStart hook."""
    allocatedResources: dict[str, Quantity] | None = None
    """The requests that the node has granted it."""
    resources: ResourceRequirements | None = None
    """The requests and limits that are in force."""
    volumeMounts: Annotated[list[VolumeMountStatus], MergeKey("mountPath")] | None = None
    """The volumes that are mounted in it."""
    user: ContainerUser | None = None
    """Who its first process started as."""
    allocatedResourcesStatus: Annotated[list[ResourceStatus], MergeKey("name")] | None = None
    """The health of the devices that it has."""
    stopSignal: str | None = None
    """The signal that will ask it to end."""


class PodResourceClaimStatus(Model, protobuf="name resourceClaimName"):
    """The claim behind an entry of spec.resourceClaims."""

    name: str = ""
    """The entry's name in the spec."""
    resourceClaimName: str | None = None
    """The ResourceClaim that stands for it. Absent when none was needed."""


class ContainerExtendedResourceRequest(Model):
    """Which request of a claim stands for an extended resource of a container."""

    containerName: str = ""
    """The container with the resource."""
    resourceName: str = ""
    """The extended resource."""
    requestName: str = ""
    """The request of the claim."""


class PodExtendedResourceClaimStatus(Model):
    """The claim that was made for the extended resources of a pod."""

    requestMappings: Annotated[list[ContainerExtendedResourceRequest], Required()] | None = None
    """Which request stands for which resource."""
    resourceClaimName: str = ""
    """The ResourceClaim that was made."""


class PodStatus(
    Model,
    protobuf="phase conditions message reason hostIP podIP startTime containerStatuses qosClass initContainerStatuses "
    "nominatedNodeName podIPs ephemeralContainerStatuses resize resourceClaimStatuses hostIPs observedGeneration",
):
    """What is known of a pod, mostly told by its kubelet."""

    observedGeneration: Int64 | None = None
    """The metadata.generation that the kubelet last acted on."""
    phase: str | None = None
    """Where the pod is in its life: Pending, Running, Succeeded, Failed or Unknown."""
    conditions: Annotated[list[PodCondition], MergeKey("type")] | None = None
    """What is, or is not, true of the pod."""
    message: str | None = None
    """Why the pod is in this state, for people to read."""
    reason: str | None = None
    """Why the pod is in this state in one word, such as Evicted."""
    nominatedNodeName: str | None = None
    """The node on which room is being made for the pod by ending others."""
    hostIP: str | None = None
    """The address of the node. Absent until the pod has one."""
    hostIPs: Annotated[list[HostIP], MergeKey("ip"), Atomic()] | None = None
    """All addresses of the node; the first is hostIP."""
    podIP: str | None = None
    """The address of the pod. Absent until it has one."""
    podIPs: Annotated[list[PodIP], MergeKey("ip")] | None = None
    """All addresses of the pod, at most one of each family; the first is podIP."""
    startTime: Time | None = None
    """When the kubelet took the pod over, before any image was fetched."""
    initContainerStatuses: list[ContainerStatus] | None = None
    """What is known of each init container."""
    containerStatuses: list[ContainerStatus] | None = None
    """What is known of each container."""
    qosClass: str | None = None
    """How the pod is treated when resources get short: Guaranteed, Burstable or BestEffort."""
    ephemeralContainerStatuses: list[ContainerStatus] | None = None
    """What is known of each ephemeral container."""
    resize: str | None = None
    """What became of a change of resources: Proposed, Deferred, InProgress or Infeasible. Conditions have taken its
    place."""
    resourceClaimStatuses: Annotated[list[PodResourceClaimStatus], MergeKey("name")] | None = None
    """The claims behind the entries of spec.resourceClaims."""
    extendedResourceClaimStatus: PodExtendedResourceClaimStatus | None = None
    """The claim that was made for extended resources."""
    allocatedResources: dict[str, Quantity] | None = None
    """The requests that the node has granted the pod as a whole."""
    resources: ResourceRequirements | None = None
    """The requests and limits of the pod as a whole that are in force."""
