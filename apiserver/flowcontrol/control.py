"""Lets requests through, by the priority levels and flow schemas as they are now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from apimachinery.errors import BadRequest, TooManyRequests
from apiserver.flowcontrol.borrowing import Bounds, Share, bounds, claim, divide
from apiserver.flowcontrol.classify import Classifier, Flow
from apiserver.flowcontrol.counts import Counts
from apiserver.flowcontrol.defaults import MANDATORY, default_levels, default_schemas
from apiserver.flowcontrol.demand import smoothed
from apiserver.flowcontrol.queueset import QueueSet, Queuing, Rejected, Ticket
from apiserver.flowcontrol.seats import seats_of_list
from apiserver.http.types import ClientDisconnected
from apiserver.request.message import Request
from apiserver.request.query import parse_int
from kubeapi.flowcontrol._flowcontrol import EXEMPT
from kubeapi.flowcontrol.flowschema import FlowSchema
from kubeapi.flowcontrol.prioritylevelconfiguration import PriorityLevelConfiguration, PriorityLevelConfigurationSpec

RETRY_SECONDS = 1
WAIT_PART = 0.25  # of the time that a request may take: so long it may wait in a queue


class Level:
    """A priority level in use."""

    def __init__(self, name: str, queues: QueueSet) -> None:
        self.name = name
        self.queues = queues
        self.bounds = Bounds(0, 0, 0)
        self.smooth_demand = 0.0
        self.spec = PriorityLevelConfigurationSpec()
        self.quiescing = False
        """Whether its configuration is gone: it takes no more requests, and ends with the last one."""
        self.dispatched = self.rejected = self.timed_out = self.cancelled = 0


class FlowControl:
    """`total` is how many seats there are. `stored` tells how many objects of (group, plural) a list has to read."""

    def __init__(self, total: int, request_timeout_seconds: float, stored: Callable[[str, str], int]) -> None:
        self.levels: dict[str, Level] = {}
        self.counts = Counts()
        self._total = total
        self._wait_seconds = request_timeout_seconds * WAIT_PART
        self._stored = stored
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self.configure((), ())

    # Requests

    def flow(self, request: Request) -> Flow:
        return self._classifier.flow(request.user, request.info)

    def arrive(self, request: Request) -> Ticket:
        """Returns the place of the request, which has begun if nothing has to be waited for. Raises: TooManyRequests.

        It has to `leave` if it has begun.
        """
        flow = self.flow(request)
        level = self.levels[flow.level]
        seats = 1 if request.info.verb != "list" else self._seats_of_list(request, level)
        ticket = Ticket(flow.hash, seats, flow, request)
        try:
            level.queues.arrive(ticket, self._time())
        except Rejected as rejected:
            level.rejected += 1
            self.counts.rejected(flow, rejected.reason)
            raise _too_many() from None
        if ticket.began is not None:
            level.dispatched += 1
            self.counts.dispatched(flow)
        return ticket

    async def wait(self, ticket: Ticket) -> None:
        """Returns when the request is next. Raises: TooManyRequests after its time, ClientDisconnected."""
        flow, exchange = ticket.flow_of, ticket.request.exchange
        level = self.levels[flow.level]
        turn: asyncio.Future[None] = self._loop.create_future()
        ticket.on_start = lambda: None if turn.done() else turn.set_result(None)
        exchange.on_gone = turn.cancel
        lets_through = False
        try:
            async with asyncio.timeout(self._wait_seconds):
                await turn
            lets_through = True
        except TimeoutError:
            level.timed_out += 1
            self.counts.rejected(flow, "time-out")
            raise _too_many() from None
        except asyncio.CancelledError:
            if not exchange.disconnected:
                raise
            level.cancelled += 1
            self.counts.rejected(flow, "cancelled")
            raise ClientDisconnected from None
        finally:
            exchange.on_gone = None
            now = self._time()
            if ticket.began is None:
                level.queues.abandon(ticket, now)
            elif not lets_through:  # its turn came at the moment of its end
                level.queues.finish(ticket, now)
        level.dispatched += 1
        self.counts.dispatched(flow, now - ticket.arrived)

    def leave(self, ticket: Ticket) -> None:
        """Gives the seats back."""
        level = self.levels[ticket.flow_of.level]
        level.queues.finish(ticket, self._time())
        if level.quiescing and level.queues.idle:
            del self.levels[level.name]

    def _seats_of_list(self, request: Request, level: Level) -> int:
        try:
            limit = parse_int(request.query, "limit") if b"limit" in request.query_string else None
        except BadRequest:  # told by the handler
            return 1
        info = request.info
        return seats_of_list(self._stored(info.group, info.resource), limit or 0, level.bounds.nominal)

    # Configuration

    def configure(self, schemas: Iterable[FlowSchema], levels: Iterable[PriorityLevelConfiguration]) -> None:
        """Takes over what is stored; where the mandatory schemas and levels are missing, their defaults count."""
        stored = {level.name: level for level in levels}
        by_name = {level.name: level for level in default_levels() if level.name in MANDATORY or not stored} | stored
        now, new = self._time(), set()
        for name, config in by_name.items():
            level = self.levels.get(name)
            if level is None:
                limit = None if name == EXEMPT else 1
                level = self.levels[name] = Level(name, QueueSet(_queuing(config.spec), limit, now))
                new.add(name)
            level.spec, level.quiescing = config.spec, False
            level.queues.reconfigure(_queuing(config.spec), now)
        for name, level in list(self.levels.items()):
            if name not in by_name:
                level.quiescing = True
                if level.queues.idle:
                    del self.levels[name]
        known = {schema.name: schema for schema in schemas}
        defaults = {schema.name: schema for schema in default_schemas() if schema.name in MANDATORY or not known}
        uids = {name: config.metadata.uid or "" for name, config in by_name.items()}
        self._classifier = Classifier((defaults | known).values(), uids)
        shares = {name: _share(level.spec) for name, level in self.levels.items()}
        for name, nominal in bounds(self._total, shares).items():
            level = self.levels[name]
            level.bounds = nominal
            if (limit := level.queues.limit) is not None:
                limit = nominal.nominal if name in new else min(max(limit, nominal.lower), nominal.upper)
                level.queues.set_limit(limit, now)

    def rebalance(self) -> None:
        """Lends the seats that levels do not need to others. Called every few seconds."""
        now, claims = self._time(), []
        for level in self.levels.values():
            envelope = level.queues.demand.take(now)
            level.smooth_demand = smoothed(level.smooth_demand, envelope)
            claims.append(claim(level.bounds, envelope.high, level.smooth_demand))
        for level, seats in zip(list(self.levels.values()), divide(self._total, claims), strict=True):
            if level.queues.limit is not None:
                level.queues.set_limit(seats, now)


def _queuing(spec: PriorityLevelConfigurationSpec) -> Queuing:
    queuing = spec.limited.limitResponse.queuing if spec.limited is not None else None
    return Queuing() if queuing is None else Queuing(queuing.queues, queuing.handSize, queuing.queueLengthLimit)


def _share(spec: PriorityLevelConfigurationSpec) -> Share:
    if spec.limited is not None:
        limited = spec.limited
        return Share(limited.nominalConcurrencyShares or 0, limited.lendablePercent or 0, limited.borrowingLimitPercent)
    seats = spec.exempt
    return Share((seats.nominalConcurrencyShares or 0) if seats else 0, (seats.lendablePercent or 0) if seats else 0, 0)


def _too_many() -> TooManyRequests:
    return TooManyRequests("Too many requests, please try again later.", retry_after_seconds=RETRY_SECONDS)
