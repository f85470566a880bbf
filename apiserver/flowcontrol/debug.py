"""/debug/api_priority_and_fairness: the levels, queues and requests of this moment as tables, as upstream's.

Source: Kubernetes documentation, "Flow control", "Debug endpoints".
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from apimachinery.times import format_micro_time
from apiserver.flowcontrol.control import FlowControl, Level
from apiserver.flowcontrol.queueset import Ticket

LEVELS = (
    "PriorityLevelName", "ActiveQueues", "IsIdle", "IsQuiescing", "WaitingRequests", "ExecutingRequests",
    "DispatchedRequests", "RejectedRequests", "TimedoutRequests", "CancelledRequests",
)  # fmt: skip
QUEUES = (
    "PriorityLevelName", "Index", "PendingRequests", "ExecutingRequests", "SeatsInUse", "NextDispatchR",
    "InitialSeatsSum", "MaxSeatsSum", "TotalWorkSum",
)  # fmt: skip
REQUESTS = (
    "PriorityLevelName", "FlowSchemaName", "QueueIndex", "RequestIndexInQueue", "FlowDistingsher", "ArriveTime",
    "InitialSeats", "FinalSeats", "AdditionalLatency", "StartTime",
)  # fmt: skip
DETAILS = ("UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource")

Row = Sequence[object]


def dump_priority_levels(control: FlowControl) -> str:
    return table(LEVELS, (_level_row(level) for level in _by_name(control)))


def dump_queues(control: FlowControl) -> str:
    return table(QUEUES, (row for level in _by_name(control) for row in _queue_rows(level)))


def dump_requests(control: FlowControl, now: float, *, details: bool) -> str:
    """`now` is the time of the loop, by which arrivals are known."""
    header = (*REQUESTS, *DETAILS) if details else REQUESTS
    rows = []
    for level in _by_name(control):
        for queue in level.queues.queues:
            for index, ticket in enumerate(queue.tickets):
                row = (level.name, *_request_row(ticket, queue.index, index, time.time() - now))
                rows.append((*row, *_detail_row(ticket)) if details else row)
    return table(header, rows)


def table(header: Row, rows: Iterable[Row]) -> str:
    """Aligns cells below one another, each but the last followed by a comma."""
    lines = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    text = ""
    for line in lines:
        cells = [f"{cell}," for cell in line[:-1]]
        text += " ".join(cell.ljust(width + 1) for cell, width in zip(cells, widths, strict=False))
        text += f" {line[-1]}\n"
    return text


def _by_name(control: FlowControl) -> list[Level]:
    return [control.levels[name] for name in sorted(control.levels)]


def _level_row(level: Level) -> Row:
    queues = level.queues
    active = sum(queue.active for queue in queues.queues)
    state = (active, str(queues.idle).lower(), str(level.quiescing).lower(), queues.waiting, queues.executing)
    return (level.name, *state, level.dispatched, level.rejected, level.timed_out, level.cancelled)


def _queue_rows(level: Level) -> Iterator[Row]:
    for queue in level.queues.queues:
        numbers = (len(queue.tickets), queue.executing, queue.seats_in_use, f"{queue.due:.8f}ss")
        widest = sum(ticket.seats for ticket in queue.tickets)
        yield (level.name, queue.index, *numbers, queue.seats_waiting, widest, f"{queue.seats_waiting * 0.003:.8f}ss")


def _request_row(ticket: Ticket, queue: int, index: int, offset: float) -> Row:
    flow = ticket.flow_of
    arrived = format_micro_time(ticket.arrived + offset)
    return (flow.schema, queue, index, flow.distinguisher, arrived, ticket.seats, 0, "0s", "0001-01-01T00:00:00Z")


def _detail_row(ticket: Ticket) -> Row:
    info = ticket.request.info
    resource = (info.namespace, info.name, info.version, info.resource, info.subresource)
    return (ticket.request.user.name, info.verb, info.path, *resource)
