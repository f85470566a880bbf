"""Requests and priority levels: who waits for whom, and what is left when one gives up."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from apimachinery.errors import TooManyRequests
from apimachinery.model import from_dict
from apiserver.flowcontrol.control import FlowControl
from apiserver.flowcontrol.debug import dump_priority_levels, dump_queues, dump_requests
from apiserver.flowcontrol.defaults import default_levels, default_schemas
from apiserver.flowcontrol.queueset import Ticket
from apiserver.http.types import ClientDisconnected
from apiserver.request.info import parse_request
from apiserver.request.user import AUTHENTICATED, User
from kubeapi.flowcontrol.prioritylevelconfiguration import PriorityLevelConfiguration
from tests.kits.eventually import eventually_async

JANE = User("jane", "", (AUTHENTICATED,))
NODE = User("system:node:n1", "", ("system:nodes", AUTHENTICATED))
PODS = "/api/v1/pods"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1"


def request(user: User, method: str, path: str, query: str = "") -> Any:
    """What flow control reads of a request."""
    parameters = {name: [value] for name, value in (pair.split("=") for pair in query.split("&") if pair)}
    exchange = SimpleNamespace(on_gone=None, disconnected=False)
    info = parse_request(method, path)
    return SimpleNamespace(
        user=user, info=info, query=parameters, query_string=query.encode(), exchange=exchange, method=method
    )


def control(total: int = 60, seconds: float = 240.0, stored: int = 0) -> FlowControl:
    return FlowControl(total, seconds, lambda group, plural: stored)


async def go(flows: FlowControl, ticket: Ticket) -> Ticket:
    if ticket.began is None:
        await flows.wait(ticket)
    return ticket


async def test_500_lists_of_one_client_do_not_stand_before_a_heartbeat() -> None:
    flows = control(total=600, stored=5000)
    served, refused, waiting = [], 0, []
    for _ in range(500):
        try:
            ticket = flows.arrive(request(JANE, "GET", PODS))
        except TooManyRequests:
            refused += 1
            continue
        (served if ticket.began is not None else waiting).append(ticket)
    level = flows.levels["global-default"].queues
    assert level.limit is not None
    assert sum(ticket.seats for ticket in served) <= level.limit
    assert len(waiting) == 300  # six queues of fifty: the rest is refused
    assert refused == 500 - 300 - len(served)
    heartbeat = flows.arrive(request(NODE, "PUT", LEASE))
    assert heartbeat.began is not None


async def test_what_waits_goes_on_when_a_seat_is_free() -> None:
    flows = control(total=1)
    first, second = (flows.arrive(request(JANE, "GET", f"{PODS}/{name}")) for name in "ab")
    assert first.began is not None
    assert second.began is None
    waiting = asyncio.create_task(go(flows, second))
    await asyncio.sleep(0)
    flows.leave(first)
    await waiting
    flows.leave(second)
    assert flows.levels["global-default"].queues.idle
    assert flows.levels["global-default"].dispatched == 2


async def test_a_request_that_waits_too_long_is_refused() -> None:
    flows = control(total=1, seconds=0.0)
    first, second = (flows.arrive(request(JANE, "GET", PODS)) for _ in range(2))
    with pytest.raises(TooManyRequests) as refused:
        await flows.wait(second)
    assert refused.value.retry_after_seconds == 1
    flows.leave(first)
    level = flows.levels["global-default"]
    assert (level.timed_out, level.queues.idle) == (1, True)


async def test_a_client_that_leaves_gives_up_its_place() -> None:
    flows = control(total=1)
    first, second = (flows.arrive(request(JANE, "GET", PODS)) for _ in range(2))
    waiting = asyncio.create_task(go(flows, second))
    exchange = second.request.exchange
    await eventually_async(lambda: exchange.on_gone)
    exchange.disconnected = True
    exchange.on_gone()
    with pytest.raises(ClientDisconnected):
        await waiting
    flows.leave(first)
    assert flows.levels["global-default"].queues.idle


async def test_a_seat_that_comes_as_its_request_is_cancelled_is_given_on() -> None:
    flows = control(total=1)
    first, second = (flows.arrive(request(JANE, "GET", PODS)) for _ in range(2))
    waiting = asyncio.create_task(go(flows, second))
    await eventually_async(lambda: second.request.exchange.on_gone)
    flows.leave(first)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert flows.levels["global-default"].queues.idle


async def test_lists_take_seats_by_what_they_read() -> None:
    flows = control(total=600, stored=450)
    assert flows.arrive(request(JANE, "GET", PODS)).seats == 5
    assert flows.arrive(request(JANE, "GET", PODS, "limit=100")).seats == 1
    assert flows.arrive(request(JANE, "GET", PODS, "limit=x")).seats == 1
    assert flows.arrive(request(JANE, "GET", f"{PODS}/web")).seats == 1


def level(name: str, shares: int) -> PriorityLevelConfiguration:
    limited = {"nominalConcurrencyShares": shares, "lendablePercent": 0, "limitResponse": {"type": "Reject"}}
    document = {"metadata": {"name": name, "uid": "u"}, "spec": {"type": "Limited", "limited": limited}}
    return from_dict(PriorityLevelConfiguration, document)


async def test_a_level_without_its_configuration_serves_what_it_has_and_ends() -> None:
    flows = control(total=10)
    ticket = flows.arrive(request(JANE, "GET", PODS))
    flows.configure(default_schemas(), [one for one in default_levels() if one.name != "global-default"])
    assert flows.levels["global-default"].quiescing
    assert flows.flow(request(JANE, "GET", PODS)).level == "catch-all"
    flows.leave(ticket)
    assert "global-default" not in flows.levels


async def test_mandatory_objects_count_when_nothing_else_is_stored() -> None:
    flows = control(total=100)
    flows.configure([], [level("mine", 95)])
    assert set(flows.levels) >= {"mine", "exempt", "catch-all"}
    assert flows.levels["mine"].bounds.nominal == 95
    assert flows.levels["catch-all"].bounds.nominal == 5


async def test_idle_levels_lend_their_seats_and_get_them_back() -> None:
    flows = control(total=245)
    waiting = []
    for _ in range(200):
        waiting.append(flows.arrive(request(JANE, "POST", PODS)))
    queues = flows.levels["global-default"].queues
    assert queues.limit == 20
    flows.rebalance()
    assert queues.limit > 40
    assert flows.levels["node-high"].queues.limit >= flows.levels["node-high"].bounds.lower
    for ticket in waiting:
        flows.leave(await go(flows, ticket))
    assert queues.idle


async def test_debug_tables() -> None:
    flows = control(total=1)
    for _ in range(2):
        flows.arrive(request(JANE, "GET", PODS))
    levels = dump_priority_levels(flows).splitlines()
    assert levels[0].startswith("PriorityLevelName, ActiveQueues, IsIdle, ")
    assert next(line for line in levels if line.startswith("global-default")).split() == [
        "global-default,", "2,", "false,", "false,", "1,", "1,", "1,", "0,", "0,", "0",
    ]  # fmt: skip
    assert any(line.startswith("global-default,") for line in dump_queues(flows).splitlines())
    waiting = dump_requests(flows, asyncio.get_running_loop().time(), details=True).splitlines()
    assert len(waiting) == 2
    assert "jane" in waiting[1]
    assert waiting[1].split()[:2] == ["global-default,", "global-default,"]
