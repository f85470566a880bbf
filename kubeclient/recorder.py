"""Tells users what happened to an object, by Events. Never waits, never fails the caller.

The same event again raises the count of the stored one. Ten events of an object that differ in their message alone are
combined into one, and an object that still talks too much is cut off: the limits are upstream's.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from prometheus_client import Counter

from apimachinery.errors import NotFound, StatusError, namespace_is_terminating
from apimachinery.meta import Object, ObjectMeta
from apimachinery.resource import Resource, resource_of
from apimachinery.times import format_time
from componentbase import logs
from componentbase.clock import Clock
from componentbase.ratelimit import TokenBucket
from kubeapi.core._references import ObjectReference
from kubeapi.core.event import Event, EventSource
from kubeclient.rest import RestClient

PENDING_EVENTS = 1000  # distinct events not yet written; when full, the new event is lost (and counted)
REMEMBERED = 4096  # keys each memory of the correlator holds; the longest unused is forgotten
SIMILAR_EVENTS = 10
SIMILAR_WINDOW_SECONDS = 600.0
BURST_PER_OBJECT = 25
REFILL_SECONDS = 300.0
"""An object (per component) may have a burst of 25 events, then one in five minutes; more are lost (and counted)."""
GATHER_SECONDS = 1.0
"""Events wait this long before they are written: repetitions meet, and a burst of work goes first."""
FLUSH_SECONDS = 2.0
ATTEMPTS = 4
RETRY_SECONDS = 1.0
MESSAGE_LIMIT = 1024

log = logs.logger(__name__)

LOST = Counter("event_recorder_lost_events", "Events that were not written.", ["why"])


class ObjectNames(NamedTuple):
    """Names an object."""

    kind: str
    api_version: str
    namespace: str
    name: str
    uid: str


class Subject(NamedTuple):
    """Names what an event is about and who says it."""

    kind: str
    api_version: str
    namespace: str
    name: str
    uid: str
    type: str
    reason: str
    field_path: str = ""
    action: str = ""
    related: ObjectNames | None = None


class EventKey(NamedTuple):
    subject: Subject
    message: str
    """ "" where similar events are combined."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Describes one event to write: how often it happened since it was last written. Times are Unix seconds."""

    key: EventKey
    message: str
    count: int
    first: float
    last: float


class Correlator:
    """Decides, without I/O, whether an event is written by itself, combined with others, or dropped."""

    def __init__(self) -> None:
        self._messages: OrderedDict[Subject, tuple[float, set[str]]] = OrderedDict()
        self._buckets: OrderedDict[tuple[str, ...], TokenBucket] = OrderedDict()

    def correlate(self, subject: Subject, message: str, now: float) -> Occurrence | None:
        """Returns the event to write, or None when its object has had too many."""
        since, messages = self._messages.pop(subject, (now, set[str]()))
        if now - since > SIMILAR_WINDOW_SECONDS:
            since, messages = now, set()
        if len(messages) < SIMILAR_EVENTS:
            messages.add(message)
        self._messages[subject] = (since, messages)
        _forget_oldest(self._messages)
        combined = message not in messages
        if not self._take_token(subject[:5], now):
            return None
        key = EventKey(subject, "" if combined else message)
        text = f"(combined from similar events): {message}" if combined else message
        return Occurrence(key, text, 1, now, now)

    def _take_token(self, source: tuple[str, ...], now: float) -> bool:
        bucket = self._buckets.pop(source, None) or TokenBucket(1 / REFILL_SECONDS, BURST_PER_OBJECT, now)
        self._buckets[source] = bucket
        _forget_oldest(self._buckets)
        return bucket.take(now)


def _forget_oldest(memory: OrderedDict[Any, Any]) -> None:
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _StoredEvent:
    """Names an event that is stored already, and its count."""

    name: str
    count: int


class EventRecorder:
    """`run()` writes what `event()` notes; at shutdown it takes FLUSH_SECONDS for the rest."""

    def __init__(self, rest: RestClient, component: str, host: str = "", *, clock: Clock | None = None) -> None:
        self._rest = rest
        self._component, self._host = component, host
        self._clock = clock or Clock()
        self._correlator = Correlator()
        self._pending: OrderedDict[EventKey, Occurrence] = OrderedDict()
        self._written: OrderedDict[EventKey, _StoredEvent] = OrderedDict()
        self._wake = asyncio.Event()

    def event(
        self,
        obj: Object,
        type: str,
        reason: str,
        message: str,
        *,
        field_path: str = "",
        action: str = "",
        related: Object | None = None,
        resource: Resource[Any] | None = None,
    ) -> None:
        """Notes that something happened to `obj`; `type` is "Normal" or "Warning", `reason` one CamelCase word.

        `field_path` names a part of it: "spec.containers{app}". `resource` is that of an object whose model is not its
        kind's own, as of one that is read as metadata alone. `action` is what was done or failed, in one word, and
        `related` an object on whose account.
        """
        others = None if related is None else _names(related, resource_of(related.__class__))
        names = _names(obj, resource or resource_of(obj.__class__))
        subject = Subject(*names, type, reason, field_path, action, others)
        occurrence = self._correlator.correlate(subject, message[:MESSAGE_LIMIT], self._clock.now())
        if occurrence is None:
            LOST.labels("object limit").inc()
            return
        waiting = self._pending.get(occurrence.key)
        if waiting is not None:
            self._pending[occurrence.key] = replace(
                waiting, message=occurrence.message, count=waiting.count + 1, last=occurrence.last
            )
        elif len(self._pending) >= PENDING_EVENTS:
            LOST.labels("queue full").inc()
        else:
            self._pending[occurrence.key] = occurrence
            self._wake.set()

    async def run(self) -> None:
        """Writes events until cancelled, then what is left, within FLUSH_SECONDS."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._clock.sleep(GATHER_SECONDS)
                await self._write_pending()
        finally:
            if self._pending:
                try:
                    async with asyncio.timeout(FLUSH_SECONDS):
                        await self._write_pending()
                except TimeoutError:
                    LOST.labels("shutdown").inc(len(self._pending))

    async def _write_pending(self) -> None:
        while self._pending:
            key, occurrence = next(iter(self._pending.items()))
            del self._pending[key]
            await self._write(occurrence)

    async def _write(self, occurrence: Occurrence) -> None:
        for attempt in range(ATTEMPTS):
            try:
                await self._write_once(occurrence)
                return
            except StatusError as error:  # saying it again won't help
                say = log.debug if namespace_is_terminating(error) or isinstance(error, NotFound) else log.warning
                say("event refused", reason=occurrence.key.subject.reason, error=str(error))
                break
            except (ConnectionError, TimeoutError) as error:
                if attempt == ATTEMPTS - 1:
                    log.warning("event not written", reason=occurrence.key.subject.reason, error=str(error))
                else:
                    await self._clock.sleep(RETRY_SECONDS * 2**attempt)
        LOST.labels("not written").inc(occurrence.count)

    async def _write_once(self, occurrence: Occurrence) -> None:
        key = occurrence.key
        written = self._written.get(key)
        if written is not None:
            count = written.count + occurrence.count
            patch = {"count": count, "lastTimestamp": format_time(occurrence.last), "message": occurrence.message}
            try:
                await self._rest.patch(Event, written.name, _namespace(key.subject), patch)
                self._remember(key, _StoredEvent(written.name, count))
                return
            except NotFound:  # events expire
                self._written.pop(key, None)
        name = event_name(key.subject.name)
        await self._rest.create(build_event(occurrence, name, self._component, self._host))
        self._remember(key, _StoredEvent(name, occurrence.count))

    def _remember(self, key: EventKey, written: _StoredEvent) -> None:
        self._written.pop(key, None)
        self._written[key] = written
        _forget_oldest(self._written)


def event_name(subject_name: str) -> str:
    """Joins the object's name, cut to fit, and the time in nanoseconds."""
    return f"{subject_name[:230]}.{time.time_ns():x}"


def _namespace(subject: Subject) -> str:
    """Puts events about objects without a namespace into "default"."""
    return subject.namespace or "default"


def _names(obj: Object, resource: Resource[Any]) -> ObjectNames:
    meta = obj.metadata
    return ObjectNames(resource.kind, resource.api_version, meta.namespace or "", meta.name or "", meta.uid or "")


def _reference(item: ObjectNames | Subject, field_path: str = "") -> ObjectReference:
    return ObjectReference(
        kind=item.kind,
        apiVersion=item.api_version,
        namespace=item.namespace or None,
        name=item.name,
        uid=item.uid or None,
        fieldPath=field_path or None,
    )


def build_event(occurrence: Occurrence, name: str, component: str, host: str) -> Event:
    subject = occurrence.key.subject
    return Event(
        metadata=ObjectMeta(name=name, namespace=_namespace(subject)),
        involvedObject=_reference(subject, subject.field_path),
        type=subject.type,
        reason=subject.reason,
        action=subject.action or None,
        related=None if subject.related is None else _reference(subject.related),
        message=occurrence.message,
        source=EventSource(component=component, host=host or None),
        firstTimestamp=format_time(occurrence.first),
        lastTimestamp=format_time(occurrence.last),
        count=occurrence.count,
        reportingComponent=component if occurrence.key.message else "",  # upstream leaves it out where it combines
        reportingInstance=host,
    )
