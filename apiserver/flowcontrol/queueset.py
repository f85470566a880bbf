"""One priority level: its seats, its queues, and which request is next. Pure: times are given, starts are calls.

Each queue has a point in virtual time at which its next request is due; the queue with the earliest point is served.
Virtual time goes on while seats are used, by the seats that each active queue would have if all got the same. A request
moves its queue's point on by the seats times seconds it is expected to use, which its end corrects. So queues get the
same share of the level's seats, however many requests wait in each.

Source: Kubernetes documentation, "API Priority and Fairness"; upstream's enhancement proposal 1040.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from apiserver.flowcontrol.demand import Demand
from apiserver.flowcontrol.shuffle import deal

EXPECTED_SECONDS = 0.003  # of a request, until its end tells
KNOWN_HANDS = 4096  # flows whose queues are remembered; then they are dealt anew


@dataclass(frozen=True, slots=True)
class Queuing:
    """The queues of a level; without any, what can't be served at once is refused."""

    queues: int = 0
    hand: int = 0
    length: int = 0


class Rejected(Exception):
    """The level takes no more requests of this flow; `reason` is upstream's word, for metrics."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Queue:
    """Requests of the flows that share it."""

    __slots__ = ("due", "executing", "index", "seats_in_use", "seats_waiting", "tickets")

    def __init__(self, index: int) -> None:
        self.index = index
        self.tickets: deque[Ticket] = deque()
        self.executing = 0
        self.seats_in_use = 0
        self.seats_waiting = 0
        self.due = 0.0
        """In virtual time, in seconds times seats."""

    @property
    def active(self) -> bool:
        return bool(self.executing or self.tickets)


class Ticket:
    """One request at its level. `on_start` is called when it may go on, unless it could at once."""

    __slots__ = ("arrived", "began", "flow", "flow_of", "on_start", "queue", "request", "seats")

    def __init__(self, flow: int, seats: int, flow_of: Any = None, request: Any = None) -> None:
        """`flow` is the hash of the flow. `flow_of` and `request` are for whoever made the ticket."""
        self.flow = flow
        self.seats = seats
        self.flow_of = flow_of
        self.request = request
        self.arrived = 0.0
        self.began: float | None = None
        self.queue: Queue | None = None
        self.on_start: Callable[[], None] | None = None


class QueueSet:
    """The requests of one level. They may use `limit` seats at once, or any number if it is None."""

    def __init__(self, queuing: Queuing, limit: int | None, now: float) -> None:
        self.queuing = queuing
        self.limit = limit
        self.executing = self.seats_in_use = self.waiting = 0
        self.demand = Demand(now)
        self.queues = [Queue(index) for index in range(queuing.queues)]
        self.virtual_time = 0.0
        self._at = now
        self._active = 0
        self._with_tickets: dict[int, Queue] = {}
        self._hands: dict[int, tuple[Queue, ...]] = {}

    @property
    def idle(self) -> bool:
        return not (self.executing or self.waiting)

    def arrive(self, ticket: Ticket, now: float) -> bool:
        """True if the request may go on at once; otherwise it waits for `on_start`. Raises: Rejected."""
        ticket.arrived = now
        if self.limit is None:
            self._start_unqueued(ticket, now)
            return True
        if not self.queues:
            if not self._fits(ticket.seats):
                raise Rejected("concurrency-limit")
            self._start_unqueued(ticket, now)
            return True
        self._advance(now)
        queue = self._choose(ticket.flow)
        at_once = not self.waiting and self._fits(ticket.seats)
        if not at_once and len(queue.tickets) >= self.queuing.length:
            raise Rejected("queue-full")
        if not queue.active:
            queue.due = self.virtual_time
            self._active += 1
        ticket.queue = queue
        self.demand.add(ticket.seats, now)
        if at_once:
            self._start(ticket, queue, now)
        else:
            queue.tickets.append(ticket)
            queue.seats_waiting += ticket.seats
            self._with_tickets[queue.index] = queue
            self.waiting += 1
        return at_once

    def finish(self, ticket: Ticket, now: float) -> None:
        """Gives the seats of a request back, and starts those that are next."""
        assert ticket.began is not None
        self._advance(now)
        self.demand.add(-ticket.seats, now)
        self.executing -= 1
        self.seats_in_use -= ticket.seats
        if (queue := ticket.queue) is not None:
            queue.executing -= 1
            queue.seats_in_use -= ticket.seats
            queue.due += (now - ticket.began - EXPECTED_SECONDS) * ticket.seats
            self._note_end(queue)
        if self.waiting:
            self.dispatch(now)

    def abandon(self, ticket: Ticket, now: float) -> None:
        """Takes a waiting request out of its queue: its client has left, or it has waited too long."""
        queue = ticket.queue
        assert queue is not None
        assert ticket.began is None
        self._advance(now)
        queue.tickets.remove(ticket)
        self._note_left(queue, ticket)
        self.demand.add(-ticket.seats, now)
        self._note_end(queue)
        self.dispatch(now)  # the next may be small enough for the seats that are free

    def set_limit(self, limit: int | None, now: float) -> None:
        self._advance(now)
        self.limit = limit
        self.dispatch(now)

    def reconfigure(self, queuing: Queuing, now: float) -> None:
        """Deals what waits to other queues, in the order of arrival; what executes goes on."""
        if queuing == self.queuing:
            return
        self._advance(now)
        waiting = sorted(self.tickets(), key=lambda ticket: ticket.arrived)
        self.queuing = queuing
        self.queues = [Queue(index) for index in range(queuing.queues)]
        self._active = self.waiting = 0  # the old queues of what executes count no more
        self._with_tickets.clear()
        self._hands.clear()
        for ticket in waiting:
            if not self.queues:
                self.demand.add(-ticket.seats, now)
                ticket.queue = None
                self._start_unqueued(ticket, now)
                continue
            queue = ticket.queue = self._choose(ticket.flow)
            if not queue.active:
                queue.due = self.virtual_time
                self._active += 1
            queue.tickets.append(ticket)
            queue.seats_waiting += ticket.seats
            self._with_tickets[queue.index] = queue
            self.waiting += 1
        self.dispatch(now)

    def tickets(self) -> Iterator[Ticket]:
        """Yields what waits."""
        for queue in self._with_tickets.values():
            yield from queue.tickets

    def dispatch(self, now: float) -> None:
        """Starts what is due while there are seats. A large request is not overtaken by smaller ones."""
        while self._with_tickets:
            queue = min(self._with_tickets.values(), key=_due)
            if not self._fits(queue.tickets[0].seats):
                return
            ticket = queue.tickets.popleft()
            self._note_left(queue, ticket)
            self._start(ticket, queue, now)

    # -- parts

    def _advance(self, now: float) -> None:
        if self._active and self.limit is not None:
            used = min(self.demand.value, self.limit)
            self.virtual_time += (now - self._at) * used / self._active
        self._at = now

    def _fits(self, seats: int) -> bool:
        """A request that is wider than the level gets all of it, alone."""
        return self.limit is None or self.seats_in_use + seats <= self.limit or not self.seats_in_use

    def _choose(self, flow: int) -> Queue:
        """Returns the queue of the flow's hand with the least to do."""
        hand = self._hands.get(flow)
        if hand is None:
            if len(self._hands) >= KNOWN_HANDS:
                self._hands.clear()
            cards = deal(flow, self.queuing.queues, self.queuing.hand)
            hand = self._hands[flow] = tuple(self.queues[card] for card in cards)
        best, least = hand[0], hand[0].seats_in_use + hand[0].seats_waiting
        for queue in hand:  # not `min` with a key: this is most of what a request costs here
            if not least:
                break
            load = queue.seats_in_use + queue.seats_waiting
            if load < least:
                best, least = queue, load
        return best

    def _start(self, ticket: Ticket, queue: Queue, now: float) -> None:
        queue.executing += 1
        queue.seats_in_use += ticket.seats
        queue.due += EXPECTED_SECONDS * ticket.seats
        self._begin(ticket, now)

    def _start_unqueued(self, ticket: Ticket, now: float) -> None:
        self.demand.add(ticket.seats, now)
        self._begin(ticket, now)

    def _begin(self, ticket: Ticket, now: float) -> None:
        self.executing += 1
        self.seats_in_use += ticket.seats
        ticket.began = now
        if ticket.on_start is not None:
            ticket.on_start()

    def _note_left(self, queue: Queue, ticket: Ticket) -> None:
        self.waiting -= 1
        queue.seats_waiting -= ticket.seats
        if not queue.tickets:
            del self._with_tickets[queue.index]

    def _note_end(self, queue: Queue) -> None:
        if not queue.active and queue.index < len(self.queues) and self.queues[queue.index] is queue:
            self._active -= 1


def _due(queue: Queue) -> float:
    return queue.due
