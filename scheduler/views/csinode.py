"""Models how many volumes of each driver a node takes."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model
from apimachinery.resource import Resource


class VolumeNodeResources(Model):
    count: int | None = None


class CSINodeDriver(Model):
    name: str = ""
    allocatable: VolumeNodeResources | None = None


class CSINodeSpec(Model):
    drivers: list[CSINodeDriver] | None = None


class CSINode(Object):
    spec: CSINodeSpec = Field(default_factory=CSINodeSpec)


RESOURCE = Resource(kind="CSINode", plural="csinodes", model=CSINode, group="storage.k8s.io", namespaced=False)
