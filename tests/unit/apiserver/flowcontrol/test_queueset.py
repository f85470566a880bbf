"""One level's queues: who is next, and nobody is forgotten."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apiserver.flowcontrol.queueset import QueueSet, Queuing, Rejected, Ticket
from apiserver.flowcontrol.seats import seats_of_list

QUEUES = Queuing(queues=64, hand=4, length=50)
HEAVY, LIGHT = 1_000_003, 77


class Level:
    """A queue set with a clock, and a record of what it started."""

    def __init__(self, queuing: Queuing = QUEUES, limit: int | None = 1) -> None:
        self.now = 0.0
        self.set = QueueSet(queuing, limit, self.now)
        self.started: list[str] = []

    def arrive(self, name: str, flow: int = HEAVY, seats: int = 1) -> Ticket:
        ticket = Ticket(flow, seats, request=name)
        ticket.on_start = lambda: self.started.append(name)
        self.set.arrive(ticket, self.now)
        return ticket

    def finish(self, ticket: Ticket, seconds: float = 0.01) -> None:
        self.now += seconds
        self.set.finish(ticket, self.now)


def test_a_free_seat_is_taken_at_once() -> None:
    level = Level(limit=2)
    level.arrive("a")
    level.arrive("b")
    level.arrive("c")
    assert level.started == ["a", "b"]
    assert (level.set.executing, level.set.waiting, level.set.seats_in_use) == (2, 1, 2)


def test_a_light_flow_does_not_wait_behind_a_heavy_one() -> None:
    level = Level()
    tickets = {name: level.arrive(name) for name in (f"heavy-{number}" for number in range(20))}
    tickets["light"] = level.arrive("light", LIGHT)
    for _ in range(QUEUES.hand):  # the heavy flow has so many queues, and each gets its turn
        level.finish(tickets[level.started[-1]])
    assert "light" in level.started


def test_two_flows_get_the_same_share_of_the_seats() -> None:
    level = Level()
    tickets = {name: level.arrive(name) for name in (f"heavy-{number}" for number in range(40))}
    for number in range(10):
        tickets[f"light-{number}"] = level.arrive(f"light-{number}", LIGHT)
    for _ in range(15):
        level.finish(tickets[level.started[-1]])
    light = [name for name in level.started if name.startswith("light")]
    assert 3 <= len(light) <= 8


def test_within_a_queue_the_first_to_come_is_the_first_to_be_served() -> None:
    level = Level(Queuing(queues=1, hand=1, length=50))
    tickets = {name: level.arrive(name) for name in "abcd"}
    for name in "abcd":
        level.finish(tickets[name])
    assert level.started == ["a", "b", "c", "d"]
    assert level.set.idle


def test_a_full_queue_refuses() -> None:
    level = Level(Queuing(queues=1, hand=1, length=2))
    for name in "abc":
        level.arrive(name)
    with pytest.raises(Rejected, match="queue-full"):
        level.arrive("d")
    assert level.set.waiting == 2


def test_a_level_without_queues_refuses_what_has_no_seat() -> None:
    level = Level(Queuing(), limit=1)
    first = level.arrive("a")
    with pytest.raises(Rejected, match="concurrency-limit"):
        level.arrive("b")
    level.finish(first)
    level.arrive("c")
    assert level.started == ["a", "c"]


def test_an_exempt_level_has_no_limit() -> None:
    level = Level(Queuing(), limit=None)
    for number in range(1000):
        level.arrive(str(number))
    assert level.set.executing == 1000
    assert level.set.demand.value == 1000


def test_a_wide_request_waits_for_its_seats_and_is_not_overtaken_in_its_queue() -> None:
    level = Level(Queuing(queues=1, hand=1, length=50), limit=4)
    first, second = level.arrive("a", seats=2), level.arrive("b", seats=2)
    level.arrive("wide", seats=4)
    level.arrive("small")
    level.finish(first)
    assert level.started == ["a", "b"]
    level.finish(second)
    assert level.started == ["a", "b", "wide"]


def test_a_request_wider_than_its_level_is_served_alone() -> None:
    level = Level(limit=2)
    wide = level.arrive("wide", seats=5)
    level.arrive("small")
    assert level.started == ["wide"]
    level.finish(wide)
    assert level.started == ["wide", "small"]


def test_one_that_gives_up_lets_the_next_go() -> None:
    level = Level(Queuing(queues=1, hand=1, length=50), limit=2)
    level.arrive("a")
    wide = level.arrive("wide", seats=2)
    level.arrive("small")
    level.set.abandon(wide, level.now)
    assert level.started == ["a", "small"]
    assert level.set.waiting == 0
    assert level.set.demand.value == 2


def test_more_seats_start_what_waits() -> None:
    level = Level()
    for name in "abc":
        level.arrive(name)
    level.set.set_limit(3, level.now)
    assert level.started == ["a", "b", "c"]


def test_other_queues_keep_what_waits_and_what_executes() -> None:
    level = Level()
    tickets = {name: level.arrive(name) for name in "abc"}
    level.set.reconfigure(Queuing(queues=2, hand=1, length=10), level.now)
    assert level.set.waiting == 2
    for name in "abc":
        level.finish(tickets[name])
    assert level.started == ["a", "b", "c"]
    assert level.set.idle
    assert level.set.demand.value == 0


def test_a_level_that_loses_its_queues_starts_what_waited_in_them() -> None:
    level = Level()
    tickets = {name: level.arrive(name) for name in "abc"}
    level.set.reconfigure(Queuing(), level.now)
    assert level.started == ["a", "b", "c"]
    for ticket in tickets.values():
        level.finish(ticket)
    assert level.set.demand.value == level.set.seats_in_use == 0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.integers(0, 5), st.integers(1, 4)),
        st.tuples(st.just("finish"), st.integers(0, 50), st.integers(0, 9)),
        st.tuples(st.just("abandon"), st.integers(0, 50), st.just(0)),
        st.tuples(st.just("limit"), st.integers(1, 8), st.just(0)),
        st.tuples(st.just("queues"), st.integers(1, 4), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=200)
@given(steps)
def test_whatever_happens_the_counts_are_right_and_all_are_served(plan: list[tuple[str, int, int]]) -> None:
    level = Level(Queuing(queues=4, hand=2, length=5), limit=3)
    queues = level.set
    tickets: list[Ticket] = []
    for what, first, second in plan:
        level.now += 0.001
        if what == "arrive":
            try:
                tickets.append(level.arrive("", first, second))
            except Rejected:
                continue
        elif what == "limit":
            queues.set_limit(first, level.now)
        elif what == "queues":
            queues.reconfigure(Queuing(queues=first, hand=1, length=5), level.now)
        else:
            fit = [ticket for ticket in tickets if (ticket.began is None) == (what == "abandon")]
            if fit:
                ticket = fit[first % len(fit)]
                tickets.remove(ticket)
                if what == "abandon":
                    queues.abandon(ticket, level.now)
                else:
                    level.finish(ticket, second / 1000)
        executing = [ticket for ticket in tickets if ticket.began is not None]
        assert queues.executing == len(executing)
        assert queues.seats_in_use == sum(ticket.seats for ticket in executing)
        assert queues.waiting == len(tickets) - len(executing) == len(list(queues.tickets()))
        assert queues.demand.value == sum(ticket.seats for ticket in tickets)
    while executing := [ticket for ticket in tickets if ticket.began is not None]:
        tickets.remove(executing[0])
        level.finish(executing[0])
    assert not tickets
    assert queues.idle


@pytest.mark.parametrize(
    ("objects", "limit", "nominal", "seats"),
    [(0, 0, 100, 1), (100, 0, 100, 1), (101, 0, 100, 2), (5000, 0, 100, 10), (5000, 150, 100, 2), (5000, 0, 10, 2)],
)
def test_the_seats_of_a_list(objects: int, limit: int, nominal: int, seats: int) -> None:
    assert seats_of_list(objects, limit, nominal) == seats
