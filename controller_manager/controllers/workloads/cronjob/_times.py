"""Finds the time that a CronJob's schedule came round last, and when to look again; and the clock of this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from kubeapi.batch._schedule import Schedule, ScheduleError, time_zone

MANY_MISSED = 100
"""More start times than these have been missed in a row: a user is told, as a clock may be wrong."""


@dataclass(frozen=True, slots=True)
class Due:
    """Times are Unix seconds."""

    latest: float | None
    """The last time that came round and was not acted on; None while there is none."""
    following: float
    """The first one that is still to come."""
    missed_many: bool = False


def find_due(schedule: Schedule, since: float, now: float) -> Due:
    """Looks at the times after `since`, when the schedule was acted on last. Raises: ScheduleError if it has none."""
    latest: float | None = None
    following = _next(schedule, since)
    count = 0
    while following <= now and count <= MANY_MISSED:
        latest, following, count = following, _next(schedule, following), count + 1
    if latest is not None and following <= now:
        latest, following = _last_before(schedule, latest, following, now)
    return Due(latest, following, missed_many=count > MANY_MISSED)


def _last_before(schedule: Schedule, known: float, following: float, now: float) -> tuple[float, float]:
    """Returns the last time up to now and the one after it, without a walk through all since `known`."""
    step = following - known
    width = step
    start = known
    while now - width > known:
        candidate = _next(schedule, known + (now - width - known) // step * step)
        if candidate <= now:
            start = candidate
            break
        width *= 2
    latest, following = start, _next(schedule, start)
    while following <= now:
        latest, following = following, _next(schedule, following)
    return latest, following


def _next(schedule: Schedule, after: float) -> float:
    time = schedule.next(after)
    if time is None:
        raise ScheduleError("time difference between two schedules is less than 1 second")
    return time


def local_zone() -> tzinfo:
    """Returns the zone of this machine: that of TZ, or else the one it is set to; UTC where nothing tells."""
    if name := os.environ.get("TZ"):
        return time_zone(name.removeprefix(":")) or UTC
    try:
        with open("/etc/localtime", "rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return UTC
