"""When a CronJob's schedule came round last: the walk and its shortcut find the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller_manager.controllers.workloads.cronjob._times import MANY_MISSED, Due, find_due
from kubeapi.batch._schedule import ScheduleError, parse_schedule, time_zone

MINUTE, DAY = 60.0, 86400.0
START = 1_743_000_000.0  # a whole minute, four days before clocks go forward in Berlin


def test_before_the_first_time_nothing_is_due() -> None:
    assert find_due(parse_schedule("* * * * *"), START, START + 59) == Due(None, START + 60)


def test_the_latest_of_several_missed_times_is_due() -> None:
    assert find_due(parse_schedule("* * * * *"), START, START + 3 * MINUTE + 1) == Due(START + 180, START + 240)


@pytest.mark.parametrize(("missed", "many"), [(MANY_MISSED, False), (MANY_MISSED + 1, True), (10**7, True)])
def test_many_missed_times_are_told(missed: int, many: bool) -> None:
    due = find_due(parse_schedule("* * * * *"), START, START + missed * MINUTE)
    assert due == Due(START + missed * MINUTE, START + (missed + 1) * MINUTE, many)


def test_a_clock_that_went_back_is_waited_for() -> None:
    assert find_due(parse_schedule("* * * * *"), START, START - DAY) == Due(None, START + 60)


def test_a_day_that_never_comes_is_an_error() -> None:
    with pytest.raises(ScheduleError, match="less than 1 second"):
        find_due(parse_schedule("0 0 31 2 *"), START, START)


OFTEN, SELDOM = ("@every 61s", "* * * * *"), ("*/7 3 * * *", "30 2 * * *", "0 9-17/2 * * 1-5", "0,1 0 * * *")


@given(st.sampled_from([*((text, 2) for text in OFTEN), *((text, 40) for text in SELDOM)]), st.floats(0, 1))
def test_the_shortcut_finds_what_a_walk_finds(text_and_days: tuple[str, int], share: float) -> None:
    """From a day before clocks go forward on, for a share of the days."""
    (text, days), zone = text_and_days, time_zone("Europe/Berlin")
    assert zone is not None
    start = START + 3 * DAY
    schedule, now = parse_schedule(text, zone), start + share * days * DAY
    latest, following = None, schedule.next(start)
    assert following is not None
    while following <= now:
        latest, following = following, schedule.next(following)
        assert following is not None
    due = find_due(schedule, start, now)
    assert (due.latest, due.following) == (latest, following)
