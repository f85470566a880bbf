"""Event (events.k8s.io/v1): the Events of the core group in a newer form. They are the same objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import OMIT_EMPTY, Int32, MicroTime, Model, Required, Time, from_dict, to_dict
from apimachinery.resource import Column, Resource, Strategy, View
from apimachinery.validation import IMMUTABLE, Errors
from kubeapi.core._references import ObjectReference
from kubeapi.core.event import COLUMNS, EventSource
from kubeapi.core.event import RESOURCE as CORE
from kubeapi.core.event import Event as CoreEvent

Dict = dict[str, Any]

RENAMED = {
    "regarding": "involvedObject",
    "note": "message",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
    "reportingController": "reportingComponent",
}
"""This kind's field -> the core group's."""
_OF_CORE = {theirs: ours for ours, theirs in RENAMED.items()}
_SELECTABLE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_TYPES = ("Normal", "Warning")
_UNSET = "needs to be unset"
_FROZEN = (
    "involvedObject", "reason", "message", "firstTimestamp", "lastTimestamp", "count", "type", "eventTime", "action",
    "related", "reportingController", "reportingInstance",
)  # fmt: skip


class EventSeries(Model, protobuf="count lastObservedTime"):
    """The later occurrences of an event."""

    count: Int32 = 0
    """The number of occurrences."""
    lastObservedTime: Annotated[MicroTime, NullIfEmpty()] = ""
    """The time of the last occurrence, as observed."""


class Event(
    Object,
    protobuf="metadata eventTime series reportingController reportingInstance action reason regarding related note "
    "type deprecatedSource deprecatedFirstTimestamp deprecatedLastTimestamp deprecatedCount",
):
    """Reports something that happened to an object. Events are deleted after a while."""

    eventTime: Annotated[MicroTime, NullIfEmpty()] = ""
    """The time of the first occurrence, as observed."""
    series: EventSeries | None = None
    """The later occurrences, if the event happened more than once."""
    reportingController: Annotated[str, Required(False), OMIT_EMPTY] = ""
    """The reporting controller and its domain, such as `kubernetes.io/kubelet`."""
    reportingInstance: Annotated[str, Required(False), OMIT_EMPTY] = ""
    """The reporting instance, such as `kubelet-xyz`."""
    action: str | None = None
    """The action that was taken or failed, in one word for programs."""
    reason: str | None = None
    """The reason for the action, in one word for programs."""
    regarding: ObjectReference = Field(default_factory=ObjectReference)
    """The object of the event, usually the one that the controller works on."""
    related: ObjectReference | None = None
    """Another object that took part."""
    note: str | None = None
    """A description of the event in a sentence or two."""
    type: str | None = None
    """`Normal` or `Warning`."""
    deprecatedSource: EventSource = Field(default_factory=EventSource)
    """The source of an event that was created through the core group."""
    deprecatedFirstTimestamp: Annotated[Time, NullIfEmpty()] = ""
    """The first occurrence of an event of the core group."""
    deprecatedLastTimestamp: Annotated[Time, NullIfEmpty()] = ""
    """The last occurrence of an event of the core group."""
    deprecatedCount: Int32 | None = None
    """The number of occurrences of an event of the core group."""


def from_core(core: Dict) -> Dict:
    return {_OF_CORE.get(field, field): value for field, value in core.items()} | {"apiVersion": RESOURCE.api_version}


def to_core(event: Dict) -> Dict:
    return {RENAMED.get(field, field): value for field, value in event.items()} | {"apiVersion": CORE.api_version}


def _as_core(event: Event) -> CoreEvent:
    return from_dict(CoreEvent, to_core(to_dict(event)))


class EventStrategy(Strategy[Event]):
    """Stricter than the core group about new events; errors name the fields of the core group.

    Source: Kubernetes API reference, "Event" of events.k8s.io/v1.
    """

    allow_create_on_update = True

    def validate(self, obj: Event) -> list[FieldError]:
        errors = CORE.strategy.validate(_as_core(obj))
        return [replace(e, field="reportingController") if e.field == "reportingComponent" else e for e in errors]

    def validate_create(self, obj: Event) -> list[FieldError]:
        errors = Errors(self.validate(obj))
        _check_series(errors, obj)
        if not obj.eventTime:
            errors.required(("eventTime",))
        if obj.type not in _TYPES:
            errors.invalid(("type",), "", f"has invalid value: {obj.type or ''}")
        for name in ("firstTimestamp", "lastTimestamp", "count", "source"):
            value = getattr(obj, _OF_CORE[name])
            if value and value != EventSource():
                errors.invalid((name,), "", _UNSET)
        return errors

    def validate_update(self, obj: Event, old: Event) -> list[FieldError]:
        errors = Errors()
        if obj.series != old.series:
            _check_series(errors, obj)
        for name in _FROZEN:
            field = _OF_CORE.get(name, name)
            value = getattr(obj, field)
            if value != getattr(old, field):
                errors.invalid((name,), to_dict(value) if isinstance(value, Model) else value, IMMUTABLE)
        return errors


def _check_series(errors: Errors, obj: Event) -> None:
    if obj.series is None:
        return
    if obj.series.count < 2:
        errors.invalid(("series.count",), "", "should be at least 2")
    if not obj.series.lastObservedTime:
        errors.required(("series.lastObservedTime",))


def _of_core(column: Column) -> Column:
    return replace(column, value=lambda event, now: column.value(_as_core(event), now))


def _regarding(field: str) -> Callable[[Event], str]:
    return lambda event: getattr(event.regarding, field) or ""


RESOURCE = Resource(
    kind="Event",
    plural="events",
    model=Event,
    group="events.k8s.io",
    short_names=("ev",),
    strategy=EventStrategy(),
    expires=True,
    columns=tuple(map(_of_core, COLUMNS)),
    fields={
        **{f"regarding.{field}": _regarding(field) for field in _SELECTABLE},
        "reason": lambda event: event.reason or "",
        "reportingController": lambda event: event.reportingController,
        "type": lambda event: event.type or "",
    },
    view=View(
        of=CORE,
        to_view=from_core,
        from_view=to_core,
        fields={
            "reportingController": "reportingComponent",
            **{f"regarding.{field}": f"involvedObject.{field}" for field in _SELECTABLE},
        },
    ),
)
