"""Models whether a driver says how much room it has."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model
from apimachinery.resource import Resource


class CSIDriverSpec(Model):
    storageCapacity: bool | None = False


class CSIDriver(Object):
    spec: CSIDriverSpec = Field(default_factory=CSIDriverSpec)


RESOURCE = Resource(kind="CSIDriver", plural="csidrivers", model=CSIDriver, group="storage.k8s.io", namespaced=False)
