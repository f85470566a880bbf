"""The parts that the kinds of `resource.k8s.io` share: selectors of devices and what is passed on to drivers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator

from apimachinery.model import Model, Required

GROUP = "resource.k8s.io"


class Dropped:
    """Marks a field that is never kept."""

    __slots__ = ()


Off = Annotated[Any, AfterValidator(lambda value: None), Required(False), Dropped()]
"""A field of a feature that is off by default: clients may send it, and it is dropped."""


class CELDeviceSelector(Model, protobuf="expression"):
    """Selects devices by an expression."""

    expression: str = ""
    """An expression in CEL about one `device` that is true if it fits, such as
    `device.attributes["gpu.example.com"].model == "x"`. It sees the device's driver, attributes and capacity, the last
    two by domain. An unknown domain is empty; asking for a name that is not there is an error, and nothing is
    allocated then."""


class DeviceSelector(Model, protobuf="cel"):
    """A condition that devices must meet."""

    cel: CELDeviceSelector | None = None
    """An expression in CEL."""


class OpaqueDeviceConfiguration(Model, protobuf="driver parameters"):
    """Parameters in a form that the driver chooses."""

    driver: str = ""
    """The driver that the parameters are for: a DNS subdomain."""
    parameters: dict[str, object] | None = None
    """The parameters, at most 10 KiB."""


class DeviceConfiguration(Model, protobuf="(opaque)"):
    """Parameters for a driver, which the allocation doesn't look at."""

    opaque: OpaqueDeviceConfiguration | None = None
    """Parameters in a form that the driver chooses."""
