"""VolumeAttachment: the wish that a volume be attached to a node."""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Int32, Model, Required, Time
from apimachinery.names import dns_subdomain_errors
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors, Path
from kubeapi.core.persistentvolume.model import PersistentVolumeSpec
from kubeapi.core.persistentvolume.validation import check_inline_volume
from kubeapi.core.pod.validation.storagevolumes import check_driver_name
from kubeapi.storage.storageclass import GROUP

_LONGEST_MESSAGE = 1024
_MOST_METADATA_BYTES = 256 * 1024


NAME_PREFIX = "csi-"


def attachment_name(driver: str, handle: str, node: str) -> str:
    """Names the attachment of a driver's volume to a node, which controller and kubelet both work out."""
    return NAME_PREFIX + hashlib.sha256(f"{handle}{driver}{node}".encode()).hexdigest()


def unique_name(driver: str, handle: str) -> str:
    """Names a driver's volume as a Node's volumesInUse and volumesAttached do."""
    return f"kubernetes.io/csi/{driver}^{handle}"


class VolumeAttachmentSource(Model, protobuf="persistentVolumeName* inlineVolumeSpec"):
    """A volume: exactly one of these."""

    persistentVolumeName: str | None = None
    """The name of the PersistentVolume."""
    inlineVolumeSpec: PersistentVolumeSpec | None = None
    """The volume itself, where a pod has one of an in-tree type that a CSI driver serves."""


class VolumeAttachmentSpec(Model, protobuf="attacher source nodeName"):
    """What to attach, and to which node. It can't be changed."""

    attacher: str = ""
    """The name of the driver that shall attach it."""
    source: Annotated[VolumeAttachmentSource, Required()] = Field(default_factory=VolumeAttachmentSource)
    """The volume."""
    nodeName: str = ""
    """The node that the volume is to be attached to."""


class VolumeError(Model, protobuf="time message errorCode*"):
    """An error of the driver."""

    time: Annotated[Time, Required(False), NullIfEmpty()] = ""
    """The time of the error."""
    message: str | None = None
    """What went wrong. It holds no secrets."""
    errorCode: Int32 | None = None
    """The gRPC code of the error. ResourceExhausted (8) tells that the node has no room for more volumes."""


class VolumeAttachmentStatus(Model, protobuf="attached attachmentMetadata attachError detachError"):
    """What the driver has done."""

    attached: bool = False
    """Whether the volume is attached."""
    attachmentMetadata: dict[str, str] | None = None
    """What the driver needs to know of the attachment when it mounts the volume."""
    attachError: VolumeError | None = None
    """The last error in attaching."""
    detachError: VolumeError | None = None
    """The last error in detaching."""


class VolumeAttachment(Object, protobuf="metadata spec status"):
    """Asks a driver to attach a volume to a node; deleting the object asks it to detach the volume."""

    spec: Annotated[VolumeAttachmentSpec, Required()] = Field(default_factory=VolumeAttachmentSpec)
    """The volume and the node."""
    status: VolumeAttachmentStatus = Field(default_factory=VolumeAttachmentStatus)
    """Whether the volume is attached, written by the driver's attacher."""


class VolumeAttachmentStrategy(Strategy[VolumeAttachment]):
    """Source: Kubernetes API reference, "VolumeAttachment"."""

    generation_tracks_spec = False
    allow_unconditional_update = False
    kept_by_status = ("labels", "annotations", "finalizers", "ownerReferences")

    def validate(self, obj: VolumeAttachment) -> list[FieldError]:
        errors, spec = Errors(), obj.spec
        check_driver_name(errors, ("spec", "attacher"), spec.attacher)
        _check_source(errors, ("spec", "source"), obj.spec.source)
        errors.check_messages(("spec", "nodeName"), spec.nodeName, dns_subdomain_errors(spec.nodeName))
        _check_status(errors, obj.status)
        return errors

    def validate_update(self, obj: VolumeAttachment, old: VolumeAttachment) -> list[FieldError]:
        errors = Errors()
        errors.check_immutable(("spec",), obj.spec, old.spec)
        return errors

    def validate_status_update(self, obj: VolumeAttachment, old: VolumeAttachment) -> list[FieldError]:
        errors = Errors()
        _check_status(errors, obj.status)
        return errors


def _check_source(errors: Errors, path: Path, source: VolumeAttachmentSource) -> None:
    name, volume = source.persistentVolumeName, source.inlineVolumeSpec
    if name is None and volume is None:
        errors.required(path, "must specify exactly one of inlineVolumeSpec and persistentVolumeName")
    elif name is not None and volume is not None:
        errors.forbidden(path, "must specify exactly one of inlineVolumeSpec and persistentVolumeName")
    elif volume is not None:
        check_inline_volume(errors, (*path, "inlineVolumeSpec"), volume)
    elif not name:
        errors.required((*path, "persistentVolumeName"), "must specify non empty persistentVolumeName")
    else:
        errors.check_messages((*path, "persistentVolumeName"), name, dns_subdomain_errors(name))


def _check_status(errors: Errors, status: VolumeAttachmentStatus) -> None:
    size = sum(len(key) + len(value) for key, value in (status.attachmentMetadata or {}).items())
    if size > _MOST_METADATA_BYTES:
        errors.too_long(("status", "attachmentMetadata"), _MOST_METADATA_BYTES)
    for field in ("attachError", "detachError"):
        error: VolumeError | None = getattr(status, field)
        if error is not None and len(error.message or "") > _LONGEST_MESSAGE:
            errors.too_long(("status", field, "message"), _LONGEST_MESSAGE)


RESOURCE = Resource(
    kind="VolumeAttachment",
    plural="volumeattachments",
    model=VolumeAttachment,
    group=GROUP,
    namespaced=False,
    strategy=VolumeAttachmentStrategy(),
    status=True,
    returned_on_delete=True,
    columns=(
        NAME,
        Column("Attacher", lambda obj, now: obj.spec.attacher, "The driver.", format="name"),
        Column("PV", lambda obj, now: obj.spec.source.persistentVolumeName or "", "The PersistentVolume."),
        Column("Node", lambda obj, now: obj.spec.nodeName, "The node."),
        Column("Attached", lambda obj, now: obj.status.attached, "Whether the volume is attached.", "boolean"),
        AGE,
    ),
)
