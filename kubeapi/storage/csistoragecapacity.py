"""CSIStorageCapacity: how much room a driver has for volumes of a class, somewhere in the cluster."""

from __future__ import annotations

from apimachinery.columns import NAME
from apimachinery.errors import FieldError
from apimachinery.meta import LabelSelector, Object
from apimachinery.names import dns_subdomain_errors
from apimachinery.quantity import Quantity, parse_quantity
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import NOT_NEGATIVE, Errors
from kubeapi.storage.storageclass import GROUP


class CSIStorageCapacity(Object, protobuf="metadata nodeTopology storageClassName capacity* maximumVolumeSize*"):
    """Tells the scheduler how much storage of a class is left for some nodes. The driver's provisioner writes it."""

    nodeTopology: LabelSelector | None = None
    """Selects the nodes that reach this storage. Absent: none; empty: all. It can't be changed."""
    storageClassName: str = ""
    """The StorageClass of the volumes. It can't be changed."""
    capacity: Quantity | None = None
    """The room that is left. Absent: unknown."""
    maximumVolumeSize: Quantity | None = None
    """The largest volume that can be made. Absent: `capacity` counts."""


class CSIStorageCapacityStrategy(Strategy[CSIStorageCapacity]):
    """Source: Kubernetes API reference, "CSIStorageCapacity"."""

    allow_unconditional_update = False

    def validate(self, obj: CSIStorageCapacity) -> list[FieldError]:
        errors = Errors()
        errors.check_selector(("nodeTopology",), obj.nodeTopology)
        name = obj.storageClassName
        errors.check_messages(("storageClassName",), name, dns_subdomain_errors(name))
        for field in ("capacity", "maximumVolumeSize"):
            amount = getattr(obj, field)
            if amount is not None and parse_quantity(amount) < 0:
                errors.invalid((field,), amount, NOT_NEGATIVE)
        return errors

    def validate_update(self, obj: CSIStorageCapacity, old: CSIStorageCapacity) -> list[FieldError]:
        errors = Errors()
        errors.check_immutable(("nodeTopology",), obj.nodeTopology, old.nodeTopology)
        errors.check_immutable(("storageClassName",), obj.storageClassName, old.storageClassName)
        return errors


RESOURCE = Resource(
    kind="CSIStorageCapacity",
    plural="csistoragecapacities",
    model=CSIStorageCapacity,
    group=GROUP,
    strategy=CSIStorageCapacityStrategy(),
    columns=(
        NAME,
        Column(
            "Created At",
            lambda obj, now: obj.metadata.creationTimestamp or "",
            "The time at which the server stored the object.",
            "date",
        ),
    ),
)
