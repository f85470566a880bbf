"""Models what a claim asks for, and the volume that it is bound to."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import LabelSelector, Object
from apimachinery.model import Model
from apimachinery.quantity import Quantity
from apimachinery.resource import Resource


class VolumeResourceRequirements(Model):
    requests: dict[str, Quantity] | None = None


class PersistentVolumeClaimSpec(Model):
    accessModes: list[str] | None = None
    selector: LabelSelector | None = None
    resources: VolumeResourceRequirements = Field(default_factory=VolumeResourceRequirements)
    volumeName: str | None = None
    storageClassName: str | None = None
    volumeMode: str | None = "Filesystem"
    volumeAttributesClassName: str | None = None


class PersistentVolumeClaimStatus(Model):
    phase: str = "Pending"


class PersistentVolumeClaim(Object):
    spec: PersistentVolumeClaimSpec = Field(default_factory=PersistentVolumeClaimSpec)
    status: PersistentVolumeClaimStatus = Field(default_factory=PersistentVolumeClaimStatus)


RESOURCE = Resource(kind="PersistentVolumeClaim", plural="persistentvolumeclaims", model=PersistentVolumeClaim)
