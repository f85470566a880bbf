"""What decides where a pod may run, and what is known of where it does."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model
from apimachinery.quantity import Quantity
from apimachinery.resource import Resource
from kubeapi._affinity import Affinity, Toleration, TopologySpreadConstraint


class ContainerPort(Model):
    hostPort: int | None = None
    protocol: str = "TCP"
    hostIP: str | None = None


class ResourceRequirements(Model):
    requests: dict[str, Quantity] | None = None


class Container(Model):
    image: str | None = None
    ports: list[ContainerPort] | None = None
    resources: ResourceRequirements | None = None
    restartPolicy: str | None = None


class VolumeSource(Model):
    """Of a kind that binds a pod to storage; only its presence counts."""


class Volume(Model):
    persistentVolumeClaim: VolumeSource | None = None
    ephemeral: VolumeSource | None = None


class SchedulingGate(Model):
    name: str = ""


class ResourceClaim(Model):
    name: str = ""


class PodSpec(Model):
    volumes: list[Volume] | None = None
    initContainers: list[Container] | None = None
    containers: list[Container] = Field(default_factory=list)
    nodeSelector: dict[str, str] | None = None
    nodeName: str | None = None
    affinity: Affinity | None = None
    schedulerName: str = "default-scheduler"
    tolerations: list[Toleration] | None = None
    priority: int | None = None
    overhead: dict[str, Quantity] | None = None
    topologySpreadConstraints: list[TopologySpreadConstraint] | None = None
    schedulingGates: list[SchedulingGate] | None = None
    resourceClaims: list[ResourceClaim] | None = None
    resources: ResourceRequirements | None = None


class PodCondition(Model):
    type: str = ""
    status: str = ""
    reason: str | None = None
    message: str | None = None


class PodStatus(Model):
    phase: str | None = None
    conditions: list[PodCondition] | None = None


class Pod(Object):
    spec: PodSpec = Field(default_factory=PodSpec)
    status: PodStatus = Field(default_factory=PodStatus)


RESOURCE = Resource(kind="Pod", plural="pods", model=Pod)
