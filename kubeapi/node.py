"""Node: a worker host."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import MergeKey, Model, Time
from apimachinery.quantity import Quantity
from apimachinery.resource import Resource
from kubeapi._affinity import Taint
from kubeapi._common import Int32, Int64


class ConfigMapNodeConfigSource(Model):
    namespace: str = ""
    name: str = ""
    uid: str | None = None
    resourceVersion: str | None = None
    kubeletConfigKey: str = ""


class NodeConfigSource(Model):
    configMap: ConfigMapNodeConfigSource | None = None


class NodeSpec(Model):
    podCIDR: str | None = None
    podCIDRs: Annotated[list[str], MergeKey("")] | None = None
    providerID: str | None = None
    unschedulable: bool | None = None
    taints: list[Taint] | None = None
    configSource: NodeConfigSource | None = None
    externalID: str | None = None


class NodeCondition(Model):
    type: str = ""
    status: str = ""
    lastHeartbeatTime: Time | None = None
    lastTransitionTime: Time | None = None
    reason: str | None = None
    message: str | None = None


class NodeAddress(Model):
    type: str = ""
    address: str = ""


class DaemonEndpoint(Model):
    Port: Int32 = 0


class NodeDaemonEndpoints(Model):
    kubeletEndpoint: DaemonEndpoint | None = None


class NodeSwapStatus(Model):
    capacity: Int64 | None = None


class NodeSystemInfo(Model):
    machineID: str = ""
    systemUUID: str = ""
    bootID: str = ""
    kernelVersion: str = ""
    osImage: str = ""
    containerRuntimeVersion: str = ""
    kubeletVersion: str = ""
    kubeProxyVersion: str = ""
    operatingSystem: str = ""
    architecture: str = ""
    swap: NodeSwapStatus | None = None


class ContainerImage(Model):
    names: list[str] | None = None
    sizeBytes: Int64 | None = None


class AttachedVolume(Model):
    name: str = ""
    devicePath: str = ""


class NodeConfigStatus(Model):
    assigned: NodeConfigSource | None = None
    active: NodeConfigSource | None = None
    lastKnownGood: NodeConfigSource | None = None
    error: str | None = None


class NodeRuntimeHandlerFeatures(Model):
    recursiveReadOnlyMounts: bool | None = None
    userNamespaces: bool | None = None


class NodeRuntimeHandler(Model):
    name: str = ""
    features: NodeRuntimeHandlerFeatures | None = None


class NodeFeatures(Model):
    supplementalGroupsPolicy: bool | None = None


class NodeStatus(Model):
    capacity: dict[str, Quantity] | None = None
    allocatable: dict[str, Quantity] | None = None
    phase: str | None = None
    conditions: Annotated[list[NodeCondition], MergeKey("type")] | None = None
    addresses: Annotated[list[NodeAddress], MergeKey("type")] | None = None
    daemonEndpoints: NodeDaemonEndpoints = Field(default_factory=NodeDaemonEndpoints)
    nodeInfo: NodeSystemInfo = Field(default_factory=NodeSystemInfo)
    images: list[ContainerImage] | None = None
    volumesInUse: list[str] | None = None
    volumesAttached: list[AttachedVolume] | None = None
    config: NodeConfigStatus | None = None
    runtimeHandlers: list[NodeRuntimeHandler] | None = None
    features: NodeFeatures | None = None
    declaredFeatures: list[str] | None = None


class Node(Object):
    spec: NodeSpec = Field(default_factory=NodeSpec)
    status: NodeStatus = Field(default_factory=NodeStatus)


RESOURCE = Resource(
    kind="Node",
    plural="nodes",
    model=Node,
    namespaced=False,
    short_names=("no",),
    status=True,
    storage_prefix="minions",
)
