"""Event: what happened to an object, kept for an hour."""

from __future__ import annotations

from apimachinery.meta import Object
from apimachinery.model import Model, Time
from apimachinery.resource import Resource
from kubeapi._common import Int32, ObjectReference, always


class EventSource(Model):
    component: str | None = None
    host: str | None = None


class EventSeries(Model):
    count: Int32 | None = None
    lastObservedTime: Time | None = None


class Event(Object):
    involvedObject: ObjectReference = always()
    reason: str | None = None
    message: str | None = None
    source: EventSource = always()
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
