"""Models what decides where a pod may run, and what is known of where it does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Self

from pydantic import Field, create_model, model_validator

from apimachinery.meta import Object, ObjectMeta
from apimachinery.model import Model
from apimachinery.quantity import Quantity
from apimachinery.resource import Resource
from kubeapi.core.pod.scheduling.affinity import Affinity, Toleration, TopologySpreadConstraint


class ContainerPort(Model):
    hostPort: int | None = None
    protocol: str = "TCP"
    hostIP: str | None = None


class ResourceRequirements(Model):
    requests: dict[str, Quantity] | None = None


class Container(Model):
    name: str = ""
    image: str | None = None
    ports: list[ContainerPort] | None = None
    resources: ResourceRequirements | None = None
    restartPolicy: str | None = None


class PersistentVolumeClaimVolumeSource(Model):
    claimName: str = ""


class EphemeralVolumeSource(Model):
    """Only its presence counts: the claim is another object."""


class GCEPersistentDiskVolumeSource(Model):
    pdName: str = ""
    readOnly: bool | None = None


class AWSElasticBlockStoreVolumeSource(Model):
    volumeID: str = ""


class ISCSIVolumeSource(Model):
    iqn: str = ""
    readOnly: bool | None = None


class RBDVolumeSource(Model):
    monitors: list[str] = Field(default_factory=list)
    image: str = ""
    pool: str = "rbd"
    readOnly: bool | None = None


class Volume(Model):
    """Has the sources that bind a pod to storage."""

    name: str = ""
    persistentVolumeClaim: PersistentVolumeClaimVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    gcePersistentDisk: GCEPersistentDiskVolumeSource | None = None
    awsElasticBlockStore: AWSElasticBlockStoreVolumeSource | None = None
    iscsi: ISCSIVolumeSource | None = None
    rbd: RBDVolumeSource | None = None


_NAME = {"name"}


class SchedulingGate(Model):
    name: str = ""


class PodResourceClaim(Model):
    name: str = ""
    resourceClaimName: str | None = None
    resourceClaimTemplateName: str | None = None


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
    preemptionPolicy: str | None = None
    overhead: dict[str, Quantity] | None = None
    topologySpreadConstraints: list[TopologySpreadConstraint] | None = None
    schedulingGates: list[SchedulingGate] | None = None
    resourceClaims: list[PodResourceClaim] | None = None
    resources: ResourceRequirements | None = None


class PodCondition(Model):
    type: str = ""
    status: str = ""
    reason: str | None = None
    message: str | None = None


class ActualResources(Model):
    """Holds quantities as the API writes them, canonical: read for every pod, so they are not checked again."""

    requests: dict[str, str] | None = None


class ContainerStatus(Model):
    """`allocatedResources` is what the node has granted, `resources` what the container runs with."""

    name: str = ""
    allocatedResources: dict[str, str] | None = None
    resources: ActualResources | None = None


class PodResourceClaimStatus(Model):
    name: str = ""
    resourceClaimName: str | None = None


class PodStatus(Model):
    phase: str | None = None
    conditions: list[PodCondition] | None = None
    nominatedNodeName: str | None = None
    startTime: str | None = None
    initContainerStatuses: list[ContainerStatus] | None = None
    containerStatuses: list[ContainerStatus] | None = None
    resourceClaimStatuses: list[PodResourceClaimStatus] | None = None


class Pod(Object):
    """Keeps containers' statuses only while a resize is under way: else they say nothing that the spec does not.

    Keeps volumes only if they are storage: nearly every pod has one with its token.
    """

    spec: PodSpec = Field(default_factory=PodSpec)
    status: PodStatus = Field(default_factory=PodStatus)

    @model_validator(mode="after")
    def _forget_needless(self) -> Self:
        status, volumes = self.status, self.spec.volumes
        if volumes:
            self.spec.volumes = [volume for volume in volumes if volume.model_fields_set - _NAME] or None
        if status.containerStatuses and _settled(self.spec.containers, status.containerStatuses):
            status.containerStatuses = None
        if status.initContainerStatuses and _settled(self.spec.initContainers or [], status.initContainerStatuses):
            status.initContainerStatuses = None
        return self


def _settled(containers: list[Container], statuses: list[ContainerStatus]) -> bool:
    requests = {item.name: item.resources.requests if item.resources else None for item in containers}
    for status in statuses:
        requested, granted = requests.get(status.name), status.allocatedResources
        if granted is not None and granted != requested:
            return False
        if status.resources is not None and status.resources.requests != requested:
            return False
    return True


def pod_view(fields: Iterable[str]) -> Resource[Pod]:
    """Returns the kind with these fields, such as "spec.hostNetwork", in its view besides those above.

    Raises: ValueError for a field that the API does not have.
    """
    missing: list[str] = []
    for field in fields:
        part, _, name = field.partition(".")
        if part == "spec" and name not in PodSpec.model_fields:
            missing.append(name)
        elif part != "spec" and (part != "metadata" or name not in ObjectMeta.model_fields):
            raise ValueError(f"reads_pod: {field!r} is not a field of a pod's metadata or spec")
    if not missing:
        return RESOURCE
    from kubeapi.core.pod.spec import PodSpec as Whole  # takes 50 ms, which only such a plugin should cost

    unknown = [name for name in missing if name not in Whole.model_fields]
    if unknown:
        raise ValueError(f"reads_pod: a pod has no field spec.{unknown[0]}")
    added: dict[str, Any] = {name: (Whole.model_fields[name].annotation, Whole.model_fields[name]) for name in missing}
    spec = create_model("PodSpec", __base__=PodSpec, __module__=__name__, **added)
    view = create_model("Pod", __base__=Pod, __module__=__name__, spec=(spec, Field(default_factory=spec)))
    return replace(RESOURCE, model=view)


RESOURCE = Resource(kind="Pod", plural="pods", model=Pod)
