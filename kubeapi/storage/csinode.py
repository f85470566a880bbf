"""CSINode: the storage drivers on a node."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Int32, MergeKey, Model, Required
from apimachinery.names import qualified_name_errors
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors, Path
from kubeapi.core.pod.validation.storagevolumes import check_driver_name
from kubeapi.storage.storageclass import GROUP

_LONGEST_NODE_ID = 256


class VolumeNodeResources(Model, protobuf="count*"):
    """The room that a node has for volumes."""

    count: Int32 | None = None
    """The number of the driver's volumes that the node can use at once. Absent: no limit; 0: none."""


class CSINodeDriver(Model, protobuf="name nodeID topologyKeys allocatable"):
    """A storage driver on a node."""

    name: str = ""
    """The name of the driver, as the driver itself says it."""
    nodeID: str = ""
    """The name that the driver knows the node by."""
    topologyKeys: Annotated[list[str], NullIfEmpty()] = Field(default_factory=list)
    """The node labels that tell the driver where the node is."""
    allocatable: VolumeNodeResources | None = None
    """The number of volumes that the node takes."""


class CSINodeSpec(Model, protobuf="drivers"):
    """The drivers on a node."""

    drivers: Annotated[list[CSINodeDriver], MergeKey("name"), Required(), NullIfEmpty()] = Field(default_factory=list)
    """The drivers, each with its own name for the node."""


class CSINode(Object, protobuf="metadata spec"):
    """Lists the storage drivers of the node of the same name; the kubelet writes it as drivers register."""

    spec: Annotated[CSINodeSpec, Required()] = Field(default_factory=CSINodeSpec)
    """The drivers on the node."""


class CSINodeStrategy(Strategy[CSINode]):
    """Source: Kubernetes API reference, "CSINode"."""

    generation_tracks_spec = False
    allow_unconditional_update = False

    def validate(self, obj: CSINode) -> list[FieldError]:
        errors, names = Errors(), set[str]()
        for index, driver in enumerate(obj.spec.drivers):
            path = ("spec", "drivers", index)
            _check_driver(errors, path, driver)
            if driver.name in names:
                errors.duplicate((*path, "name"), driver.name)
            names.add(driver.name)
        return errors

    def validate_update(self, obj: CSINode, old: CSINode) -> list[FieldError]:
        """A driver that stays keeps its fields, but for the number of volumes."""
        errors = Errors()
        stored = {driver.name: driver for driver in old.spec.drivers}
        for driver in obj.spec.drivers:
            before = stored.get(driver.name)
            if before is None:
                continue
            if (driver.nodeID, driver.topologyKeys) != (before.nodeID, before.topologyKeys):
                errors.check_immutable(("CSINodeDriver",), driver, before)  # upstream names it so
        return errors


def _check_driver(errors: Errors, path: Path, driver: CSINodeDriver) -> None:
    check_driver_name(errors, (*path, "name"), driver.name)
    if not driver.nodeID:
        errors.required((*path, "nodeID"))
    elif len(driver.nodeID) > _LONGEST_NODE_ID:
        errors.invalid((*path, "nodeID"), driver.nodeID, f"must be {_LONGEST_NODE_ID} characters or less")
    if driver.allocatable is not None:
        errors.check_not_negative((*path, "allocatable", "count"), driver.allocatable.count)
    for key in driver.topologyKeys:
        if not key:
            errors.required(path)
        else:
            errors.check_messages((*path, "topologyKeys"), key, qualified_name_errors(key))
    for index, key in enumerate(driver.topologyKeys):
        if key in driver.topologyKeys[:index]:
            errors.duplicate((*path, "topologyKeys"), key)


RESOURCE = Resource(
    kind="CSINode",
    plural="csinodes",
    model=CSINode,
    group=GROUP,
    namespaced=False,
    strategy=CSINodeStrategy(),
    returned_on_delete=True,
    columns=(
        NAME,
        Column("Drivers", lambda obj, now: len(obj.spec.drivers), "The number of its drivers.", "integer"),
        AGE,
    ),
)
