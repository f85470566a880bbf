"""Compiles and evaluates what classes and claims ask of devices: expressions over `device`.

Source: Kubernetes API reference, "CELDeviceSelector".
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from apimachinery.validation import Errors, Path
from kubeapi.resource._checks import MOST_BYTES
from kubeapi.resource._devices import DeviceSelector
from kubeapi.resource.resourceslice import Device, DeviceAttribute
from kubecel import BOOL, CompileError, Field, ObjectType, Program, Type, compile_expression, map_of
from kubecel.libraries.quantities import Quantity, quantity
from kubecel.libraries.semvers import semver
from kubecel.program import WrongType

COST_LIMIT = 1_000_000  # of one evaluation, and of the estimate at creation
COMPILED = 256  # expressions that are kept; the longest unused is compiled again when it is needed

_MOST = 32  # attributes and capacities of a device, and so the domains of their names
_DOMAIN, _ID = Type("string", max_size=63), Type("string", max_size=32)
_ATTRIBUTES = map_of(_ID, Type("dyn", max_size=64), _MOST)
_FIELDS = {
    "driver": Field(_DOMAIN, "driver"),
    "attributes": Field(map_of(_DOMAIN, _ATTRIBUTES, _MOST), "attributes"),
    "capacity": Field(map_of(_DOMAIN, map_of(_ID, Quantity.type, _MOST), _MOST), "capacity"),
}
_VARIABLES = {"device": ObjectType("kubernetes.DRADevice", fields=lambda: _FIELDS)}


class _Domains(dict[str, dict[str, Any]]):
    """Names by domain; a domain without names is empty."""

    def __missing__(self, domain: str) -> dict[str, Any]:
        return {}


@lru_cache(COMPILED)
def compile_selector(expression: str) -> Program:
    """Raises: CompileError."""
    return compile_expression(expression, _VARIABLES, expected=(BOOL,), binds=True)


def device_matches(expression: str, device: Mapping[str, Any]) -> bool:
    """Raises: CompileError; EvaluationError; CostExceeded."""
    return compile_selector(expression).evaluate({"device": device}, COST_LIMIT) is True


def device_value(driver: str, device: Device) -> dict[str, Any]:
    """Returns what expressions see of a driver's device. Raises: EvaluationError."""
    attributes = {name: _value(item) for name, item in (device.attributes or {}).items()}
    capacity = {name: quantity(item.value) for name, item in (device.capacity or {}).items()}
    return {"driver": driver, "attributes": _by_domain(driver, attributes), "capacity": _by_domain(driver, capacity)}


def _value(attribute: DeviceAttribute) -> Any:
    if attribute.version is not None:
        return semver(attribute.version)
    return next((item for item in (attribute.string, attribute.int, attribute.bool) if item is not None), None)


def _by_domain(driver: str, values: Mapping[str, Any]) -> _Domains:
    """Gives names without a domain that of the driver."""
    domains = _Domains()
    for full_name, value in values.items():
        domain, _, name = full_name.rpartition("/")
        domains.setdefault(domain or driver, {})[name] = value
    return domains


def check_selector(errors: Errors, path: Path, selector: DeviceSelector) -> None:
    """Requires an expression that compiles, and can't take long."""
    if selector.cel is None:
        errors.required((*path, "cel"))
        return
    path, expression = (*path, "cel", "expression"), selector.cel.expression
    if len(expression.encode()) > MOST_BYTES:
        errors.too_long(path, MOST_BYTES)
        return
    try:
        program = compile_selector(expression)
    except WrongType as error:
        errors.invalid(path, expression, f"must evaluate to bool or the unknown type, not {error.found}")
    except CompileError as error:
        errors.invalid(path, expression, f"compilation failed: {error}")
    else:
        if program.largest_cost > COST_LIMIT:
            errors.forbidden(path, "too complex, exceeds cost limit")
