"""Hands of queues, demand over time, and the division of seats."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.flowcontrol.borrowing import Bounds, Claim, Share, bounds, claim, divide
from apiserver.flowcontrol.demand import Demand, Envelope, smoothed
from apiserver.flowcontrol.shuffle import deal, hash_flow


def test_every_hand_is_dealt_by_exactly_one_of_the_numbers_it_needs() -> None:
    hands = [deal(number, 5, 3) for number in range(5 * 4 * 3)]
    assert sorted(hands) == sorted(permutations(range(5), 3))


@given(st.integers(0, 2**64 - 1), st.integers(1, 200), st.data())
def test_a_hand_has_different_queues(flow: int, deck: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, min(deck, 10)))
    hand = deal(flow, deck, size)
    assert len(set(hand)) == size
    assert all(0 <= card < deck for card in hand)


def test_flows_are_told_apart() -> None:
    names = ["a", "b", ""]
    assert len({hash_flow(schema, flow) for schema in names for flow in names}) == 9


def test_demand_over_a_period() -> None:
    demand = Demand(10.0)
    demand.add(4, 11.0)
    demand.add(-4, 12.0)
    assert demand.take(14.0) == Envelope(average=1.0, deviation=pytest.approx(3**0.5), high=4)
    assert demand.take(14.0) == Envelope(0, 0.0, 0)
    assert demand.take(15.0) == Envelope(0.0, 0.0, 0)


def test_smoothed_demand_rises_at_once_and_falls_slowly() -> None:
    assert smoothed(1, Envelope(10, 2, 20)) == 12
    assert 11 < smoothed(12, Envelope(0, 0, 0)) < 12


def test_seats_by_shares() -> None:
    levels = {"a": Share(30, 50, None), "b": Share(10, 0, 25), "none": Share(0, 0, None)}
    assert bounds(100, levels) == {"a": Bounds(75, 37, 100), "b": Bounds(25, 25, 31), "none": Bounds(0, 0, 100)}
    assert bounds(100, {"none": Share(0, 0, None)})["none"].nominal == 0


def test_a_level_in_need_keeps_its_own_seats() -> None:
    level = Bounds(nominal=10, lower=4, upper=20)
    assert claim(level, high_demand=0, smooth_demand=0).lower == 4
    assert claim(level, high_demand=7, smooth_demand=0).lower == 7
    assert claim(level, high_demand=99, smooth_demand=50) == Claim(10, 50, 20)


def test_idle_seats_go_to_the_level_that_wants_them() -> None:
    busy, idle = Claim(50, 200, 100), Claim(10, 10, 100)
    assert divide(100, [busy, idle]) == [90, 10]
    assert divide(100, [busy, busy]) == [50, 50]
    assert divide(100, [Claim(80, 80, 100), Claim(60, 60, 100)]) == [80, 60]
    assert divide(100, []) == []


claims = st.builds(
    lambda lower, more, target: Claim(lower, max(lower, target, 1), lower + more),
    st.integers(0, 50), st.integers(0, 100), st.integers(0, 300),
)  # fmt: skip


@given(st.lists(claims, min_size=1, max_size=8), st.integers(1, 600))
def test_a_division_keeps_all_bounds(made: list[Claim], total: int) -> None:
    seats = divide(total, made)
    assert all(c.lower <= n <= c.upper for c, n in zip(made, seats, strict=True))
    assert sum(seats) <= max(total, sum(c.lower for c in made)) + len(made) / 2
    if sum(seats) < total - len(made):
        assert all(n == c.upper for c, n in zip(made, seats, strict=True))
