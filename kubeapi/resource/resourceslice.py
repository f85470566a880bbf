"""ResourceSlice: devices that a driver offers, on one node or for several."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Int64, Model, Required, to_dict
from apimachinery.quantity import Quantity
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors, Path
from kubeapi.core.pod.scheduling.affinity import NodeSelector
from kubeapi.core.pod.validation.affinity import check_node_selector
from kubeapi.core.pod.validation.storagevolumes import check_driver_name
from kubeapi.resource._checks import MOST_ITEMS, check_each, check_label, check_pool_name, check_qualified_name
from kubeapi.resource._devices import GROUP, Off
from kubecel.libraries.semvers import FORM as SEMVER

_LONGEST_VALUE = 64
_Flag = bool  # the field `bool` below hides the type


class ResourcePool(Model, protobuf="name generation resourceSliceCount"):
    """The pool that the devices of a slice belong to."""

    name: str = ""
    """The name of the pool, unique for the driver; often that of the node."""
    generation: Int64 = 0
    """The version of the pool. A driver that changes the pool raises it in all its slices; only slices with the highest
    one count."""
    resourceSliceCount: Int64 = 0
    """The number of slices of this generation, by which readers know whether they have seen them all."""


class DeviceAttribute(Model, protobuf="- int* bool* string* version*"):
    """A property of a device: exactly one of these."""

    int: Int64 | None = None
    """A number."""
    bool: _Flag | None = None
    """Yes or no."""
    string: str | None = None
    """A text of at most 64 characters."""
    version: str | None = None
    """A semantic version, such as 1.2.3, of at most 64 characters."""


class DeviceCapacity(Model, protobuf="value"):
    """An amount of something that a device has."""

    value: Quantity = "0"
    """The amount that the device has."""
    requestPolicy: Off = None
    """The way in which requests share the amount. The feature is off: the field is dropped."""


class Device(Model, protobuf="name attributes capacity"):
    """A device, with the properties that it is selected by."""

    name: str = ""
    """The name of the device, unique in its pool: a DNS label."""
    attributes: dict[str, DeviceAttribute] | None = None
    """Properties by name. A name without a domain belongs to the driver's. At most 32 with the capacities."""
    capacity: dict[str, DeviceCapacity] | None = None
    """Amounts by name, as the attributes."""
    consumesCounters: Off = None
    """Counters that the device takes from. The feature is off: the field is dropped."""
    nodeName: Off = None
    """The node that has the device. The feature is off: the field is dropped."""
    nodeSelector: Off = None
    """The nodes that have the device. The feature is off: the field is dropped."""
    allNodes: Off = None
    """Whether all nodes have the device. The feature is off: the field is dropped."""
    taints: Off = None
    """Reasons not to use the device. The feature is off: the field is dropped."""
    bindsToNode: Off = None
    """Whether an allocation is bound to its node. The feature is off: the field is dropped."""
    bindingConditions: Off = None
    """Conditions that a pod waits for. The feature is off: the field is dropped."""
    bindingFailureConditions: Off = None
    """Conditions that end the wait. The feature is off: the field is dropped."""
    allowMultipleAllocations: Off = None
    """Whether claims may share the device. The feature is off: the field is dropped."""


class ResourceSliceSpec(Model, protobuf="driver pool nodeName* nodeSelector allNodes* devices"):
    """The devices that a driver offers, and the nodes that have them."""

    driver: str = ""
    """The name of the driver, a DNS subdomain. It can't be changed."""
    pool: Annotated[ResourcePool, Required()] = Field(default_factory=ResourcePool)
    """The pool of the slice."""
    nodeName: str | None = None
    """The node that has the devices. It can't be changed. Exactly one of nodeName, nodeSelector and allNodes is
    given."""
    nodeSelector: NodeSelector | None = None
    """The nodes that have the devices, in one term."""
    allNodes: bool | None = None
    """True if all nodes have the devices."""
    devices: list[Device] | None = None
    """The devices, at most 128."""
    perDeviceNodeSelection: Off = None
    """Whether each device tells its nodes. The feature is off: the field is dropped."""
    sharedCounters: Off = None
    """Counters that devices take from. The feature is off: the field is dropped."""


class ResourceSlice(Object, protobuf="metadata spec"):
    """Publishes devices of a driver. A pool of devices may need several slices."""

    spec: Annotated[ResourceSliceSpec, Required()] = Field(default_factory=ResourceSliceSpec)
    """The devices and their nodes."""


class ResourceSliceStrategy(Strategy[ResourceSlice]):
    """Source: Kubernetes API reference, "ResourceSlice"."""

    def validate(self, obj: ResourceSlice) -> list[FieldError]:
        errors, path, spec = Errors(), ("spec",), obj.spec
        check_driver_name(errors, (*path, "driver"), spec.driver)
        check_pool_name(errors, (*path, "pool", "name"), spec.pool.name)
        if spec.pool.resourceSliceCount <= 0:
            errors.invalid(
                (*path, "pool", "resourceSliceCount"), spec.pool.resourceSliceCount, "must be greater than zero"
            )
        if spec.pool.generation < 0:
            text = "must be greater than or equal to zero"
            errors.invalid((*path, "pool", "generation"), spec.pool.generation, text)
        _check_nodes(errors, path, spec)
        check_each(errors, (*path, "devices"), spec.devices, _check_device, most=128, key=lambda device: device.name)
        return errors

    def validate_update(self, obj: ResourceSlice, old: ResourceSlice) -> list[FieldError]:
        errors, new, before = Errors(), obj.spec, old.spec
        errors.check_immutable(("spec", "pool", "name"), new.pool.name, before.pool.name)
        errors.check_immutable(("spec", "driver"), new.driver, before.driver)
        errors.check_immutable(("spec", "nodeName"), new.nodeName, before.nodeName)
        return errors


def _check_nodes(errors: Errors, path: Path, spec: ResourceSliceSpec) -> None:
    """Requires one way to say which nodes have the devices."""
    if spec.nodeName == "":
        errors.invalid((*path, "nodeName"), "", "must be either unset or set to a non-empty string")
    elif spec.nodeName is not None:
        errors.check_subdomain((*path, "nodeName"), spec.nodeName)
    if spec.nodeSelector is not None:
        at = (*path, "nodeSelector")
        check_node_selector(errors, at, spec.nodeSelector)
        if len(terms := spec.nodeSelector.nodeSelectorTerms) != 1:
            shown = [to_dict(term) for term in terms]
            errors.invalid((*at, "nodeSelectorTerms"), shown, "must have exactly one node selector term")
    if spec.allNodes is False:
        errors.invalid((*path, "allNodes"), False, "must be either unset or set to true")
    ways = [f"`{name}`" for name in ("nodeName", "nodeSelector", "allNodes") if getattr(spec, name)]
    rule = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
    if not ways:
        errors.required(path, rule)
    elif len(ways) > 1:
        errors.invalid(path, f"{{{', '.join(ways)}}}", f"{rule}, but multiple fields are set")


def _check_device(errors: Errors, path: Path, device: Device) -> None:
    check_label(errors, (*path, "name"), device.name)
    attributes, capacity = device.attributes or {}, device.capacity or {}
    if (count := len(attributes) + len(capacity)) > MOST_ITEMS:
        text = f"the total number of attributes and capacities must not exceed {MOST_ITEMS}"
        errors.invalid(path, count, text)
    for name, attribute in attributes.items():
        check_qualified_name(errors, (*path, "attributes"), name)
        _check_attribute(errors, (*path, "attributes", f"[{name}]"), attribute)
    for name in capacity:
        check_qualified_name(errors, (*path, "capacity"), name)


def _check_attribute(errors: Errors, path: Path, attribute: DeviceAttribute) -> None:
    values = to_dict(attribute)
    if len(values) != 1:
        errors.invalid(path, values or "", "exactly one value must be specified")
    if attribute.version is not None and not SEMVER.fullmatch(attribute.version):
        text = "must be a string compatible with semver.org spec 2.0.0"
        errors.invalid((*path, "version"), attribute.version, text)
    for name, value in (("string", attribute.string), ("version", attribute.version)):
        if value is not None and len(value.encode()) > _LONGEST_VALUE:
            errors.too_long((*path, name), _LONGEST_VALUE)


RESOURCE = Resource(
    kind="ResourceSlice",
    plural="resourceslices",
    model=ResourceSlice,
    group=GROUP,
    namespaced=False,
    strategy=ResourceSliceStrategy(),
    fields={
        "spec.nodeName": lambda obj: obj.spec.nodeName or "",
        "spec.driver": lambda obj: obj.spec.driver,
    },
    columns=(
        NAME,
        Column("Node", lambda obj, now: obj.spec.nodeName or "", "The node that has the devices."),
        Column("Driver", lambda obj, now: obj.spec.driver, "The driver of the devices."),
        Column("Pool", lambda obj, now: obj.spec.pool.name, "The pool of the devices."),
        AGE,
    ),
)
