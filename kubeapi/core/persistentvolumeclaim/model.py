"""PersistentVolumeClaim: a request for storage, and the template of one in a pod."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.meta import LabelSelector, Object, ObjectMeta, StatusCondition
from apimachinery.model import Granular, MergeKey, Model, OneOf, Required, Time
from apimachinery.quantity import ResourceList
from kubeapi.core._references import TypedLocalObjectReference, TypedObjectReference

READ_WRITE_ONCE, READ_ONLY_MANY = "ReadWriteOnce", "ReadOnlyMany"
READ_WRITE_MANY, READ_WRITE_ONCE_POD = "ReadWriteMany", "ReadWriteOncePod"
ACCESS_MODES = {READ_WRITE_ONCE: "RWO", READ_ONLY_MANY: "ROX", READ_WRITE_MANY: "RWX", READ_WRITE_ONCE_POD: "RWOP"}
"""Access mode -> its short name."""
FILESYSTEM, BLOCK = "Filesystem", "Block"
VOLUME_MODES = (BLOCK, FILESYSTEM)

PENDING, BOUND, LOST = "Pending", "Bound", "Lost"

PROTECTION_FINALIZER = "kubernetes.io/pvc-protection"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
"""Names the class of a claim or volume as storageClassName does, which it wins over."""


class VolumeResourceRequirements(Model, protobuf="limits requests"):
    """The requested amount of storage."""

    limits: ResourceList | None = None
    """The maximum of storage, by resource."""
    requests: ResourceList | None = None
    """The minimum of storage, by resource; only `storage` is used."""


class PersistentVolumeClaimSpec(
    Model,
    protobuf="accessModes resources volumeName selector storageClassName* volumeMode* dataSource dataSourceRef "
    "volumeAttributesClassName*",
):
    """The requested storage."""

    accessModes: list[str] | None = None
    """The required access modes: ReadWriteOnce, ReadOnlyMany, ReadWriteMany or ReadWriteOncePod."""
    selector: LabelSelector | None = None
    """Selects the volumes that are suitable, by their labels."""
    resources: VolumeResourceRequirements = Field(default_factory=VolumeResourceRequirements)
    """The requested size. It can grow later, where the class allows it."""
    volumeName: str | None = None
    """The volume that the claim is bound to, or that it asks for."""
    storageClassName: str | None = None
    """The name of the StorageClass. Absent means the cluster's default, empty means no class."""
    volumeMode: Annotated[str, OneOf("Filesystem", "Block")] | None = "Filesystem"
    """Filesystem (the default) or Block."""
    dataSource: TypedLocalObjectReference | None = None
    """The source of the initial content: a snapshot or another claim. Other kinds are dropped."""
    dataSourceRef: TypedObjectReference | None = None
    """The source of the initial content, of any kind that a controller in the cluster supports. It is kept equal to
    `dataSource`, unless it names a namespace."""
    volumeAttributesClassName: str | None = None
    """The VolumeAttributesClass with settings that can be changed later."""


class PersistentVolumeClaimTemplate(Model, protobuf="metadata spec"):
    """The template of a claim."""

    metadata: ObjectMeta = Field(default_factory=ObjectMeta)
    """Labels and annotations of the claim."""
    spec: Annotated[PersistentVolumeClaimSpec, Required()] = Field(default_factory=PersistentVolumeClaimSpec)
    """The storage that the claim requests."""


class PersistentVolumeClaimCondition(
    StatusCondition, protobuf="type status lastProbeTime lastTransitionTime reason message"
):
    """A condition of a claim."""

    type: str = ""
    """The aspect of the claim: Resizing, FileSystemResizePending, ControllerResizeError, NodeResizeError,
    ModifyingVolume or ModifyVolumeError."""
    status: Annotated[str, Required()] = ""
    """True, False or Unknown."""
    lastProbeTime: Annotated[Time, NullIfEmpty()] = ""
    """The time at which the condition was last looked at."""


class ModifyVolumeStatus(Model, protobuf="targetVolumeAttributesClassName status"):
    """The progress of a change to another VolumeAttributesClass."""

    targetVolumeAttributesClassName: str | None = None
    """The class that the volume is changed to."""
    status: Annotated[str, Required()] = ""
    """Pending while the class or its driver is missing, InProgress, or Infeasible where the driver refused."""


class PersistentVolumeClaimStatus(
    Model,
    protobuf="phase accessModes capacity conditions allocatedResources - allocatedResourceStatuses "
    "currentVolumeAttributesClassName* modifyVolumeStatus",
):
    """The observed state of a claim."""

    phase: str = PENDING
    """Pending until a volume is bound, Bound, or Lost when that volume is gone."""
    accessModes: list[str] | None = None
    """The access modes of the bound volume."""
    capacity: ResourceList | None = None
    """The size of the bound volume."""
    conditions: Annotated[list[PersistentVolumeClaimCondition], MergeKey("type")] | None = None
    """What goes on with the volume; a claim that is being resized says Resizing."""
    allocatedResources: ResourceList | None = None
    """The size that the volume is growing to, or that it last tried to grow to. Quotas count the larger of it and the
    request."""
    allocatedResourceStatuses: Annotated[dict[str, str], Granular()] | None = None
    """The state of the resizing, by resource: ControllerResizeInProgress, ControllerResizeInfeasible,
    NodeResizePending, NodeResizeInProgress or NodeResizeInfeasible."""
    currentVolumeAttributesClassName: str | None = None
    """The VolumeAttributesClass that the volume has now."""
    modifyVolumeStatus: ModifyVolumeStatus | None = None
    """The change to another VolumeAttributesClass, while there is one."""


class PersistentVolumeClaim(Object, protobuf="metadata spec status"):
    """Requests storage. A volume that fits, or that is made for it, is bound to it, and pods use it by its name."""

    spec: PersistentVolumeClaimSpec = Field(default_factory=PersistentVolumeClaimSpec)
    """The requested storage."""
    status: PersistentVolumeClaimStatus = Field(default_factory=PersistentVolumeClaimStatus)
    """The volume that the claim has got."""
