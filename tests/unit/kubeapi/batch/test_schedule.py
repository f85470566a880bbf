"""Schedules of CronJobs: their grammar, its messages, and the times at which they come round."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeapi.batch._schedule import Every, ScheduleError, parse_schedule, time_zone


def times(text: str, after: str, count: int = 1, zone: str = "Etc/UTC") -> list[str]:
    """Lists the next times in UTC, "2025-03-30T00:30"."""
    found = time_zone(zone)
    assert found is not None
    schedule, moment, result = parse_schedule(text, found), datetime.fromisoformat(after + "+00:00").timestamp(), []
    for _ in range(count):
        following = schedule.next(moment)
        assert following is not None
        moment = following
        result.append(datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M"))
    return result


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("* * * * *", "2025-06-01T00:00", ["2025-06-01T00:01", "2025-06-01T00:02"]),
        ("* * * * *", "2025-06-01T00:00:59", ["2025-06-01T00:01"]),
        ("*/20 * * * *", "2025-06-01T00:00", ["2025-06-01T00:20", "2025-06-01T00:40", "2025-06-01T01:00"]),
        ("50/5 * * * *", "2025-06-01T00:00", ["2025-06-01T00:50", "2025-06-01T00:55", "2025-06-01T01:50"]),
        ("0 6 * * MON-FRI", "2025-06-06T07:00", ["2025-06-09T06:00"]),
        ("0 6 ? jan Sun", "2025-06-06T07:00", ["2026-01-04T06:00"]),
        ("1,3 0 * * *", "2025-06-01T00:00", ["2025-06-01T00:01", "2025-06-01T00:03", "2025-06-02T00:01"]),
        ("0 0 29 2 *", "2025-01-01T00:00", ["2028-02-29T00:00"]),
        ("0 0 13 * 5", "2025-06-01T00:00", ["2025-06-06T00:00", "2025-06-13T00:00"]),  # one of them is enough
        ("0 0 */2 * 5", "2025-06-01T00:00", ["2025-06-03T00:00", "2025-06-05T00:00", "2025-06-06T00:00"]),
        ("0 0 30 2 */2", "2025-02-01T00:00", ["2025-02-02T00:00"]),  # no such day, but such weekdays
        ("0 0 1 1 1/3", "2025-06-01T00:00", ["2026-01-01T00:00", "2026-01-05T00:00", "2026-01-08T00:00"]),
        ("0 0 1-1/9 6 *", "2025-06-01T00:00", ["2026-06-01T00:00"]),
        ("0 0 1,* * 5", "2025-06-01T00:00", ["2025-06-06T00:00", "2025-06-13T00:00"]),
        ("0 0 */1 * 5", "2025-06-01T00:00", ["2025-06-06T00:00", "2025-06-13T00:00"]),
        ("@hourly", "2025-06-01T00:00", ["2025-06-01T01:00"]),
        ("@weekly", "2025-06-03T00:00", ["2025-06-08T00:00"]),
        ("@yearly", "2025-06-03T00:00", ["2026-01-01T00:00"]),
        ("@every 1h30m", "2025-06-03T00:10", ["2025-06-03T01:40", "2025-06-03T03:10"]),
    ],
)
def test_a_schedule_comes_round(text: str, after: str, expected: list[str]) -> None:
    assert times(text, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        ("0 6 * * *", "Europe/Berlin", "2025-06-01T00:00", ["2025-06-01T04:00"]),
        ("0 6 * * *", "Asia/Kathmandu", "2025-06-01T00:00", ["2025-06-01T00:15"]),
        # 02:30 is skipped on the day when clocks go forward, and comes twice when they go back
        ("30 2 * * *", "Europe/Berlin", "2025-03-29T12:00", ["2025-03-31T00:30"]),
        ("30 2 * * *", "Europe/Berlin", "2025-10-25T12:00", ["2025-10-26T00:30", "2025-10-26T01:30"]),
        ("0 * * * *", "Australia/Lord_Howe", "2025-04-05T13:30", ["2025-04-05T14:00", "2025-04-05T15:30"]),
        ("0 0 * * *", "Pacific/Apia", "2011-12-29T12:00", ["2011-12-30T10:00"]),  # the 30th did not take place
        ("5 0 * * *", "America/St_Johns", "2010-11-06T12:00", ["2010-11-07T03:35"]),  # 00:01 became 23:01
    ],
)
def test_clocks_of_a_zone_count(text: str, zone: str, after: str, expected: list[str]) -> None:
    assert times(text, after, len(expected), zone) == expected


EVERY = {"minute": range(60), "hour": range(24), "day": range(1, 32), "month": range(1, 13), "weekday": range(7)}
SCHEDULES: dict[str, dict[str, Iterable[int]]] = {
    "* * * * *": {},
    "*/7 3 * * *": {"minute": range(0, 60, 7), "hour": [3]},
    "0 */5 * * 3": {"minute": [0], "hour": range(0, 24, 5), "weekday": [3]},
    "30 0-2 ? * *": {"minute": [30], "hour": [0, 1, 2]},
    "59 23 31 * ?": {"minute": [59], "hour": [23], "day": [31]},
    "0 0 * 2-4 0": {"minute": [0], "hour": [0], "month": [2, 3, 4], "weekday": [0]},
    "45/5 1,2 */1 3,4,10,11 *": {"minute": [45, 50, 55], "hour": [1, 2], "month": [3, 4, 10, 11]},
}
CHANGES = [1_774_746_000, 1_743_265_800, 1_792_890_000, 1_777_590_000, 1_761_436_800, 1_743_217_200, 1_288_992_600]


@given(
    st.sampled_from(list(SCHEDULES)),
    st.sampled_from(
        ["Etc/UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Cairo"]
    ),
    st.integers(min_value=1_262_304_000, max_value=1_830_000_000)
    | st.builds(int.__add__, st.sampled_from(CHANGES), st.integers(min_value=-90_000, max_value=90_000)),
)
def test_the_next_time_fits_and_none_is_left_out(text: str, zone_name: str, after: int) -> None:
    zone = time_zone(zone_name)
    assert zone is not None
    following = parse_schedule(text, zone).next(after)
    assert following is not None
    assert following > after

    def fits(moment: float) -> bool:
        local = datetime.fromtimestamp(moment, zone)
        shown = {name: getattr(local, name) for name in ("minute", "hour", "day", "month")}
        shown["weekday"] = local.isoweekday() % 7
        return all(shown[name] in values for name, values in (EVERY | SCHEDULES[text]).items())

    assert fits(following)
    between = range(after // 60 * 60 + 60, int(min(following, after + timedelta(days=3).total_seconds())), 60)
    assert not any(fits(moment) for moment in between)


@pytest.mark.parametrize("zone", ["Etc/UTC", "America/New_York", "Asia/Tokyo"])
def test_times_that_have_no_date_are_borne(zone: str) -> None:
    schedule = parse_schedule("* * * * *", time_zone(zone) or UTC)
    assert schedule.next(datetime(9999, 12, 31, 23, 59, tzinfo=UTC).timestamp()) is None
    assert schedule.next(datetime(1, 1, 1, tzinfo=UTC).timestamp()) == 0.0


NEVER = ["0 0 31 2 *", "* * 30,31 2 ?", ", * * * *", "* , * * *", "0 0 , * *", "0 0 1 , *", "* * * * ,"]


@pytest.mark.parametrize("text", NEVER)
def test_what_never_comes_is_none_and_costs_no_time(text: str) -> None:
    schedule, start = parse_schedule(text, time_zone("Europe/Berlin") or UTC), time.process_time()
    for after in range(100):
        assert schedule.next(after) is None
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected exactly 5 fields, found 0: []"),
        ("every day", "expected exactly 5 fields, found 2: [every day]"),
        ("* * * * * *", "expected exactly 5 fields, found 6: [* * * * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("* * L * *", 'failed to parse int from L: strconv.Atoi: parsing "L": invalid syntax'),
        ("@often", "unrecognized descriptor: @often"),
        ("@every day", "failed to parse duration @every day: "),
        ("@every 9999999999h", "failed to parse duration @every 9999999999h: "),
    ],
)
def test_what_is_wrong_is_told(text: str, message: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        parse_schedule(text)
    assert str(caught.value).startswith(message)


def test_an_interval_is_at_least_a_second() -> None:
    assert parse_schedule("@every 10ms") == Every(1)


@pytest.mark.parametrize("name", ["Nowhere/City", "", "Europe", "../etc/passwd", "/etc/localtime", "a\0b"])
def test_zones_that_do_not_exist(name: str) -> None:
    assert time_zone(name) is None
