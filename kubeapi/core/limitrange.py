"""LimitRange: bounds and defaults for the requests and limits of pods, containers and claims in a namespace."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, cast

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.columns import NAME
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Model, Required
from apimachinery.names import qualified_name_errors
from apimachinery.quantity import ResourceList, parse_quantity
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors, Path
from kubeapi.core.pod.validation.resources import check_resource_name, may_overcommit

POD, CONTAINER, CLAIM = "Pod", "Container", "PersistentVolumeClaim"
_LISTS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
_NOT_FOR_PODS = "may not be specified when `type` is 'Pod'"


class LimitRangeItem(Model, protobuf="type max min default defaultRequest maxLimitRequestRatio"):
    """Limits for one type of object."""

    type: str = ""
    """The type that the limits apply to: `Pod`, `Container` or `PersistentVolumeClaim`."""
    max: ResourceList | None = None
    """The maximum of each resource."""
    min: ResourceList | None = None
    """The minimum of each resource."""
    default: ResourceList | None = None
    """The limit of containers that do not set one."""
    defaultRequest: ResourceList | None = None
    """The request of containers that do not set one."""
    maxLimitRequestRatio: ResourceList | None = None
    """The maximum ratio of a limit to its request."""


class LimitRangeSpec(Model, protobuf="limits"):
    """The limits of a namespace."""

    limits: Annotated[list[LimitRangeItem], NullIfEmpty(), Required()] = Field(default_factory=list)
    """The limits, one item for each type."""


class LimitRange(Object, protobuf="metadata spec"):
    """Limits for objects that are created in the namespace."""

    spec: LimitRangeSpec = Field(default_factory=LimitRangeSpec)
    """The limits for pods, containers and claims."""


class LimitRangeStrategy(Strategy[LimitRange]):
    """Source: Kubernetes documentation, "Limit Ranges"."""

    generation_tracks_spec = False

    def default(self, obj: LimitRange) -> None:
        """Completes the items: the default limit is the maximum, the default request is the default limit or the
        minimum."""
        for item in obj.spec.limits:
            if item.type != CONTAINER:
                continue
            limits = {**(item.max or {}), **(item.default or {})}
            item.default = limits or None
            item.defaultRequest = {**(item.min or {}), **limits, **(item.defaultRequest or {})} or None

    def validate(self, obj: LimitRange) -> list[FieldError]:
        errors = Errors()
        types: set[str] = set()
        for index, item in enumerate(obj.spec.limits):
            path = ("spec", "limits", index)
            _check_type(errors, (*path, "type"), item.type)
            if item.type in types:
                errors.duplicate((*path, "type"), item.type)
            types.add(item.type)
            _check_item(errors, path, item)
        return errors


def _check_type(errors: Errors, path: Path, value: str) -> None:
    errors.check_messages(path, value, qualified_name_errors(value))
    if value and "/" not in value and value not in (POD, CONTAINER, CLAIM):
        errors.invalid(path, value, "must be a standard limit type or fully qualified")


def _check_item(errors: Errors, path: Path, item: LimitRangeItem) -> None:
    names: dict[str, None] = {}
    for field in _LISTS:
        quantities = cast("ResourceList | None", getattr(item, field))
        if item.type == POD and field in ("default", "defaultRequest"):
            if quantities:
                errors.forbidden((*path, field), _NOT_FOR_PODS)
            continue
        for name in quantities or ():
            check_resource_name(errors, (*path, field, f"[{name}]"), name, of_container=item.type in (POD, CONTAINER))
            names[name] = None
    if item.type == CLAIM and "storage" not in {**(item.min or {}), **(item.max or {})}:
        text = "either minimum or maximum storage value is required, but neither was provided"
        errors.required((*path, "limits"), text)
    for name in sorted(names):
        _Bounds(errors, path, item, name).check()


class _Bounds:
    """The numbers of one resource, and how they must lie to each other."""

    def __init__(self, errors: Errors, path: Path, item: LimitRangeItem, name: str) -> None:
        self._errors = errors
        self._path = path
        self._name = name
        self._texts = {field: (getattr(item, field) or {}).get(name) for field in _LISTS}
        if item.type == POD:
            self._texts["default"] = self._texts["defaultRequest"] = None

    def check(self) -> None:
        self._order("min", "max", "min", "min value {} is greater than max value {}")
        self._order("min", "defaultRequest", "defaultRequest", "min value {} is greater than default request value {}")
        self._order("defaultRequest", "max", "defaultRequest", "default request value {} is greater than max value {}")
        text = "default request value {} is greater than default limit value {}"
        self._order("defaultRequest", "default", "defaultRequest", text)
        self._order("min", "default", "default", "min value {} is greater than default value {}", reported="min")
        self._order("default", "max", "default", "default value {} is greater than max value {}", reported="max")
        self._check_ratio()
        limit, request = self._texts["default"], self._texts["defaultRequest"]
        if (
            not may_overcommit(self._name)
            and limit
            and request
            and self._value("default") != self._value("defaultRequest")
        ):
            text = f"default value {limit} must equal to defaultRequest value {request} in {self._name}"
            self._invalid("defaultRequest", request, text)

    def _order(self, low: str, high: str, at: str, text: str, reported: str = "") -> None:
        """Refuses values of one field that exceed those of the other.

        `at` is the field to blame, `reported` the field whose value the message has.
        """
        least, most = self._texts[low], self._texts[high]
        if least and most and parse_quantity(least) > parse_quantity(most):
            self._invalid(at, self._texts[reported or at], text.format(least, most))

    def _check_ratio(self) -> None:
        ratio = self._texts["maxLimitRequestRatio"]
        if ratio is None:
            return
        if parse_quantity(ratio) < 1:
            self._invalid("maxLimitRequestRatio", ratio, f"ratio {ratio} is less than 1")
        least, most = self._value("min"), self._value("max")
        if least and most is not None and parse_quantity(ratio) > most / least:
            text = f"ratio {ratio} is greater than max/min = {float(most / least):f}"
            self._invalid("maxLimitRequestRatio", ratio, text)

    def _value(self, field: str) -> Fraction | None:
        text = self._texts[field]
        return parse_quantity(text) if text is not None else None

    def _invalid(self, field: str, value: str | None, text: str) -> None:
        self._errors.invalid((*self._path, field, f"[{self._name}]"), value, text)


RESOURCE = Resource(
    kind="LimitRange",
    plural="limitranges",
    model=LimitRange,
    short_names=("limits",),
    strategy=LimitRangeStrategy(),
    columns=(
        NAME,
        Column("Created At", lambda obj, now: obj.metadata.creationTimestamp, "The creation time.", "date"),
    ),
)
