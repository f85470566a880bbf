"""Waiting times of crashed containers."""

from __future__ import annotations

from kubelet.container.backoff import KeyedBackoff


def test_doubles_up_to_five_minutes() -> None:
    backoff, now, delays = KeyedBackoff(), 1000.0, []
    for _ in range(8):
        delays.append(backoff.advance("k", now))
        now += delays[-1] + 1
    assert delays == [10, 20, 40, 80, 160, 300, 300, 300]


def test_no_wait_before_the_first_retry() -> None:
    assert KeyedBackoff().remaining("k", 1000.0, 1000.0) == 0


def test_waits_from_the_failure() -> None:
    backoff = KeyedBackoff()
    backoff.advance("k", 1000.0)
    assert backoff.remaining("k", 1003.0, 1005.0) == 8
    assert backoff.remaining("k", 1003.0, 1020.0) == 0


def test_starts_over_after_ten_quiet_minutes() -> None:
    backoff = KeyedBackoff()
    for _ in range(4):
        backoff.advance("k", 1000.0)
    assert backoff.remaining("k", 1601.0, 1601.0) == 0
    assert backoff.advance("k", 1601.0) == 10


def test_still_counts_within_ten_minutes() -> None:
    backoff = KeyedBackoff()
    backoff.advance("k", 1000.0)
    assert backoff.remaining("k", 1599.0, 1599.0) == 10
    assert backoff.advance("k", 1599.0) == 20


def test_keys_are_independent_and_forgotten_by_prefix() -> None:
    backoff = KeyedBackoff()
    backoff.advance("uid-1/a", 1.0)
    backoff.advance("uid-1/b", 1.0)
    backoff.advance("uid-10/a", 1.0)
    backoff.forget_prefix("uid-1/")
    assert (backoff.delay("uid-1/a"), backoff.delay("uid-10/a"), len(backoff)) == (0.0, 10.0, 1)


def test_a_lower_maximum_lowers_the_first_wait_but_not_the_time_after_which_it_starts_over() -> None:
    backoff = KeyedBackoff(max_seconds=3)
    assert [backoff.advance("k", 1000.0 + number) for number in range(3)] == [3, 3, 3]
    assert backoff.remaining("k", 1500.0, 1500.0) == 3
