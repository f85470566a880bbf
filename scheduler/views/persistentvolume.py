"""Models what a volume offers, from which nodes it can be reached, and the claim that it is bound to."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model
from apimachinery.quantity import Quantity
from apimachinery.resource import Resource
from kubeapi.core.pod.scheduling.affinity import NodeSelector


class ClaimReference(Model):
    namespace: str | None = None
    name: str | None = None
    uid: str | None = None


class CSIPersistentVolumeSource(Model):
    driver: str = ""
    volumeHandle: str = ""


class VolumeNodeAffinity(Model):
    required: NodeSelector | None = None


class PersistentVolumeSpec(Model):
    capacity: dict[str, Quantity] | None = None
    accessModes: list[str] | None = None
    claimRef: ClaimReference | None = None
    storageClassName: str | None = None
    volumeMode: str | None = "Filesystem"
    nodeAffinity: VolumeNodeAffinity | None = None
    volumeAttributesClassName: str | None = None
    csi: CSIPersistentVolumeSource | None = None


class PersistentVolumeStatus(Model):
    phase: str = "Pending"


class PersistentVolume(Object):
    spec: PersistentVolumeSpec = Field(default_factory=PersistentVolumeSpec)
    status: PersistentVolumeStatus = Field(default_factory=PersistentVolumeStatus)


RESOURCE = Resource(kind="PersistentVolume", plural="persistentvolumes", model=PersistentVolume, namespaced=False)
