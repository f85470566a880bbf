"""Follows requests by the policy, and hands their events to the back ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from apimachinery.errors import StatusError
from apiserver.audit.event import DECISION, MAX_OBJECT_BYTES, REASON, RawEvent, at_stage, describe, user_fields
from apiserver.audit.policy import Level, Rules, Stage
from apiserver.audit.queue import EventQueue
from apiserver.request.message import AuditRecord, Request
from apiserver.request.user import User
from componentbase.clock import Clock

NOBODY = User("")
"""The sender of a request whose credential is not accepted: only rules for everyone match."""


class Backend(Protocol):
    """Takes events from its queue, in a thread of its own."""

    @property
    def name(self) -> str: ...

    queue: EventQueue
    lost: int

    def close(self, seconds: float) -> None: ...


class Auditor(Collector):
    """What is told of a request depends on who sent it, whoever it runs as."""

    def __init__(self, rules: Rules, backends: Sequence[Backend], clock: Clock) -> None:
        self._rules = rules
        self._backends = backends
        self._clock = clock
        self._events = 0

    def begin(self, request: Request, user: User) -> None:
        """Decides what is told of the request, and tells that it has come."""
        decision = self._rules.decide(user, request.info)
        if decision.level is Level.NONE:
            return
        now = self._clock.now()
        most = MAX_OBJECT_BYTES + 1 if decision.level is Level.REQUEST_RESPONSE else 0
        fields = describe(request, user, decision.level, now)
        request.audit = AuditRecord(fields, decision.stages, most, managed_fields=not decision.omit_managed_fields)
        if "RequestReceived" in decision.stages:
            self._put(RawEvent(at_stage(fields, "RequestReceived", now)))

    def runs_as(self, record: AuditRecord, user: User) -> None:
        """Tells that the request runs in another user's name."""
        record.fields["impersonatedUser"] = user_fields(user)

    def authorized(self, record: AuditRecord) -> None:
        record.annotations |= {DECISION: "allow", REASON: ""}

    def refused(self, request: Request, error: StatusError) -> None:
        """Tells what became of a request that has not been let through."""
        if error.code == 401 and request.audit is None:
            self.begin(request, NOBODY)
        elif error.code == 403 and request.audit is not None and DECISION not in request.audit.annotations:
            request.audit.annotations |= {DECISION: "forbid", REASON: error.message}

    def tell(self, request: Request, stage: Stage, code: int) -> None:
        """Tells that the answer has begun or is complete."""
        record = request.audit
        if record is None or stage not in record.stages:
            return
        fields = at_stage(record.fields, stage, self._clock.now(), code, dict(record.annotations))
        complete = stage == "ResponseComplete"
        if record.fields["level"] == "Metadata":
            self._put(RawEvent(fields))
            return
        content_type = request.header(b"content-type")
        answer = b"".join(record.response) if complete else b""
        self._put(RawEvent(fields, record.request_body, content_type, answer, record.gzip, not record.managed_fields))

    def close(self, seconds: float) -> None:
        """Lets the back ends finish, for at most so long each. Blocks."""
        for backend in self._backends:
            backend.close(seconds)

    def _put(self, event: RawEvent) -> None:
        self._events += 1
        for backend in self._backends:
            backend.queue.put(event)

    def collect(self) -> Iterator[Any]:
        yield CounterMetricFamily("apiserver_audit_event", "Audit events.", value=self._events)
        lost = CounterMetricFamily("apiserver_audit_error", "Audit events that were lost.", labels=["plugin"])
        for backend in self._backends:
            lost.add_metric([backend.name], backend.lost + backend.queue.lost)
        yield lost
