"""DeviceClass: a kind of devices that claims ask for, with what the cluster's administrator sets for them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Model, Required
from apimachinery.resource import Resource, Strategy
from apimachinery.validation import Errors
from kubeapi.resource._checks import check_configuration, check_each
from kubeapi.resource._devices import GROUP, DeviceConfiguration, DeviceSelector, Off
from kubeapi.resource._selectors import check_selector


class DeviceClassConfiguration(DeviceConfiguration, protobuf="(opaque)"):
    """Parameters for a driver of the class."""


class DeviceClassSpec(Model, protobuf="selectors config"):
    """The devices of the class."""

    selectors: list[DeviceSelector] | None = None
    """Conditions that a device of the class must meet, all of them."""
    config: list[DeviceClassConfiguration] | None = None
    """Parameters that drivers get with every device claimed by the class."""
    extendedResourceName: Off = None
    """An extended resource that the class provides. The feature is off: the field is dropped."""


class DeviceClass(Object, protobuf="metadata spec"):
    """Describes devices that claims can ask for by the name of the class."""

    spec: Annotated[DeviceClassSpec, Required()] = Field(default_factory=DeviceClassSpec)
    """The devices of the class. A change concerns only later allocations."""


class DeviceClassStrategy(Strategy[DeviceClass]):
    """Source: Kubernetes API reference, "DeviceClass"."""

    compiles = True

    def validate(self, obj: DeviceClass) -> list[FieldError]:
        errors = Errors()
        check_each(errors, ("spec", "selectors"), obj.spec.selectors, check_selector)
        check_each(errors, ("spec", "config"), obj.spec.config, check_configuration)
        return errors


RESOURCE = Resource(
    kind="DeviceClass",
    plural="deviceclasses",
    model=DeviceClass,
    group=GROUP,
    namespaced=False,
    strategy=DeviceClassStrategy(),
    columns=(NAME, AGE),
)
