"""Event: a report about an object, kept for an hour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.columns import NAME, since
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Int32, MicroTime, Model, Required, Time
from apimachinery.names import qualified_name_errors
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors
from kubeapi.core._references import ObjectReference

_MAX_WORD = 128  # characters of action, reason and reportingInstance
_MAX_MESSAGE = 1024
_OTHER_NAMESPACE = "does not match event.namespace"


class EventSource(Model, protobuf="component host"):
    """The source of an event, in the older form."""

    component: str | None = None
    """The component, such as `kubelet`."""
    host: str | None = None
    """The node that the component runs on."""


class EventSeries(Model, protobuf="count lastObservedTime"):
    """The later occurrences of an event."""

    count: Int32 | None = None
    """The number of occurrences."""
    lastObservedTime: Annotated[MicroTime, NullIfEmpty()] = ""
    """The time of the last occurrence, as observed."""


class Event(
    Object,
    protobuf="metadata involvedObject reason message source firstTimestamp lastTimestamp count type eventTime series "
    "action related reportingComponent reportingInstance",
):
    """Reports something that happened to an object. Events are deleted after a while."""

    involvedObject: Annotated[ObjectReference, Required()] = Field(default_factory=ObjectReference)
    """The object of the event."""
    reason: str | None = None
    """The reason for the event, in one word for programs."""
    message: str | None = None
    """A description of the event, for people."""
    source: EventSource = Field(default_factory=EventSource)
    """The source of the event; newer events use `reportingComponent` and `reportingInstance`."""
    firstTimestamp: Annotated[Time, NullIfEmpty()] = ""
    """The time of the first occurrence."""
    lastTimestamp: Annotated[Time, NullIfEmpty()] = ""
    """The time of the last occurrence."""
    count: Int32 | None = None
    """The number of occurrences."""
    type: str | None = None
    """The severity: `Normal` or `Warning`. More may be added."""
    eventTime: Annotated[MicroTime, NullIfEmpty()] = ""
    """The time of the first occurrence, in newer events."""
    series: EventSeries | None = None
    """The later occurrences, if a newer event happened more than once."""
    action: str | None = None
    """The action that was taken or failed, in one word for programs."""
    related: ObjectReference | None = None
    """Another object that took part."""
    reportingComponent: Annotated[str, Required(False)] = ""
    """The reporting controller with its domain, such as `kubernetes.io/kubelet`."""
    reportingInstance: Annotated[str, Required(False)] = ""
    """The instance of the controller, such as `kubelet-xyz`."""


class EventStrategy(Strategy[Event]):
    """Only the namespace is checked of events in the older form, which have no eventTime.

    Source: Kubernetes API reference, "Event".
    """

    allow_create_on_update = True

    def validate(self, obj: Event) -> list[FieldError]:
        errors = Errors()
        self._check_namespace(errors, obj)
        if not obj.eventTime:
            return errors
        if not obj.reportingComponent:
            errors.required(("reportingComponent",))
        errors.check_messages(
            ("reportingComponent",), obj.reportingComponent, qualified_name_errors(obj.reportingComponent)
        )
        for name in ("reportingInstance", "action", "reason"):
            value = getattr(obj, name)
            if not value:
                errors.required((name,))
            elif len(value) > _MAX_WORD:
                errors.invalid((name,), "", f"can have at most {_MAX_WORD} characters")
        if len(obj.message or "") > _MAX_MESSAGE:
            errors.invalid(("message",), "", f"can have at most {_MAX_MESSAGE} characters")
        return errors

    def _check_namespace(self, errors: Errors, obj: Event) -> None:
        """Events about cluster-scoped objects live in "default", newer ones in "kube-system" too. Only the older ones
        must live in the namespace of their object."""
        about = obj.involvedObject.namespace or ""
        if obj.eventTime:
            fits = about or obj.namespace in ("default", "kube-system")
        else:
            fits = obj.namespace == about if about else obj.namespace in ("", "default")
        if not fits:
            errors.invalid(("involvedObject", "namespace"), about, _OTHER_NAMESPACE)


def _first_seen(event: Event, now: float) -> str:
    return since(event.firstTimestamp or event.eventTime, now)


def _last_seen(event: Event, now: float) -> str:
    if event.series is not None:
        return since(event.series.lastObservedTime, now)
    return since(event.lastTimestamp, now) if event.lastTimestamp else _first_seen(event, now)


def _count(event: Event, now: float) -> int:
    if event.series is not None:
        return event.series.count or 0
    return event.count or 1


def _target(event: Event, now: float) -> str:
    kind, name = (event.involvedObject.kind or "").lower(), event.involvedObject.name
    return f"{kind}/{name}" if name else kind


def _source(event: Event, now: float) -> str:
    component = event.source.component or event.reportingComponent
    host = event.source.host or event.reportingInstance
    return f"{component}, {host}" if host else component


COLUMNS = (
    Column("Last Seen", _last_seen, "The time since the last occurrence."),
    Column("Type", lambda event, now: event.type or "", "Normal or Warning."),
    Column("Reason", lambda event, now: event.reason or "", "The reason in one word."),
    Column("Object", _target, "The object of the event."),
    Column("Subobject", lambda event, now: event.involvedObject.fieldPath or "", "The part of the object.", priority=1),
    Column("Source", _source, "The source of the event.", priority=1),
    Column("Message", lambda event, now: (event.message or "").strip(), "The message of the event."),
    Column("First Seen", _first_seen, "The time since the first occurrence.", priority=1),
    Column("Count", _count, "The number of occurrences.", priority=1),
    replace(NAME, priority=1),
)


def _involved(field: str) -> Callable[[Event], str]:
    return lambda event: getattr(event.involvedObject, field) or ""


RESOURCE = Resource(
    kind="Event",
    plural="events",
    model=Event,
    short_names=("ev",),
    strategy=EventStrategy(),
    expires=True,
    columns=COLUMNS,
    fields={
        **{
            f"involvedObject.{field}": _involved(field)
            for field in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        },
        "reason": lambda event: event.reason or "",
        "reportingComponent": lambda event: event.reportingComponent,
        "source": lambda event: event.source.component or event.reportingComponent,
        "type": lambda event: event.type or "",
    },
)
