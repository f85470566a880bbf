"""Event: what happened to an object, kept for an hour."""

from __future__ import annotations

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Model, Time
from apimachinery.resource import Resource
from kubeapi._common import Int32, ObjectReference


class EventSource(Model):
    component: str | None = None
    host: str | None = None


class EventSeries(Model):
    count: Int32 | None = None
    lastObservedTime: Time | None = None


class Event(Object):
    involvedObject: ObjectReference = Field(default_factory=ObjectReference)
    reason: str | None = None
    message: str | None = None
    source: EventSource = Field(default_factory=EventSource)
    firstTimestamp: Time | None = None
    lastTimestamp: Time | None = None
    count: Int32 | None = None
    type: str | None = None
    eventTime: Time | None = None
    series: EventSeries | None = None
    action: str | None = None
    related: ObjectReference | None = None
    reportingComponent: str = ""
    reportingInstance: str = ""


RESOURCE = Resource(kind="Event", plural="events", model=Event, short_names=("ev",))
