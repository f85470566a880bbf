"""Models how much room a driver has for volumes of a class, on the nodes of one topology."""

from __future__ import annotations

from apimachinery.meta import LabelSelector, Object
from apimachinery.quantity import Quantity
from apimachinery.resource import Resource


class CSIStorageCapacity(Object):
    nodeTopology: LabelSelector | None = None
    storageClassName: str = ""
    capacity: Quantity | None = None
    maximumVolumeSize: Quantity | None = None


RESOURCE = Resource(
    kind="CSIStorageCapacity", plural="csistoragecapacities", model=CSIStorageCapacity, group="storage.k8s.io"
)
