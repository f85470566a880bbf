"""Models which volume is attached, or is to be attached, to which node."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model
from apimachinery.resource import Resource


class VolumeAttachmentSource(Model):
    persistentVolumeName: str | None = None


class VolumeAttachmentSpec(Model):
    attacher: str = ""
    source: VolumeAttachmentSource = Field(default_factory=VolumeAttachmentSource)
    nodeName: str = ""


class VolumeAttachment(Object):
    spec: VolumeAttachmentSpec = Field(default_factory=VolumeAttachmentSpec)


RESOURCE = Resource(
    kind="VolumeAttachment",
    plural="volumeattachments",
    model=VolumeAttachment,
    group="storage.k8s.io",
    namespaced=False,
)
