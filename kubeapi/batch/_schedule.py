"""Reads the schedule of a CronJob, and says when it comes round next.

cronsim reads the fields and finds the times. Upstream's grammar is narrower in places (7 is not a Sunday, there is no L
and no #) and wider in others (`?`, `@every 90m`; `*/2` of a day is a restriction where `*` isn't), so each field is
checked, with upstream's messages, and handed on as plain ranges. A schedule comes round at every minute that a clock of
the time zone shows: one that is skipped in spring is left out, one that is shown twice in autumn counts twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from apimachinery.text.durations import parse_duration

_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "


class ScheduleError(ValueError):
    """Says what is wrong with a schedule."""


@dataclass(frozen=True, slots=True)
class Every:
    """Comes round in a fixed interval, counted from the time that is asked about."""

    seconds: int

    def next(self, after: float) -> float | None:
        return int(after) + self.seconds


@dataclass(frozen=True, slots=True)
class Cron:
    """Comes round at the minutes of an expression, as cronsim reads it, by the clocks of a zone."""

    expression: str
    zone: tzinfo

    def next(self, after: float) -> float | None:
        """Returns the first such minute after the time, both in Unix seconds; None if there is none."""
        try:
            local = datetime.fromtimestamp(max(after, -1.0), self.zone)
            # Of times that are shown twice, those of the first showing come in order, and so do those of the second.
            times = [self._next_of_showing(local, after, fold) for fold in (0, 1)]
        except (CronSimError, OverflowError, ValueError):  # no month has such a day, or the calendar is at its end
            return None
        return min((time for time in times if time is not None), default=None)

    def _next_of_showing(self, local: datetime, after: float, fold: int) -> float | None:
        start = local.astimezone(UTC).replace(tzinfo=None) + (local.replace(fold=fold).utcoffset() or timedelta())
        for shown in CronSim(self.expression, start):  # which is not told the zone: it would move what is skipped
            moment = shown.replace(tzinfo=self.zone, fold=fold)
            time = moment.timestamp()
            if time > after and datetime.fromtimestamp(time, self.zone) == moment:
                return time
        return None


Schedule = Every | Cron


def parse_schedule(text: str, zone: tzinfo = UTC) -> Schedule:
    """Reads "0 6 * * MON-FRI", "@daily" or "@every 1h30m". Raises: ScheduleError."""
    if text.startswith(_EVERY):
        try:
            seconds = parse_duration(text.removeprefix(_EVERY))
        except ValueError as error:
            raise ScheduleError(f"failed to parse duration {text}: {error}") from None
        return Every(max(int(seconds), 1))
    if text.startswith("@") and text not in _DESCRIPTORS:
        raise ScheduleError(f"unrecognized descriptor: {text}")
    fields = _DESCRIPTORS.get(text, text).split()
    if len(fields) != len(_FIELDS):
        raise ScheduleError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    return Cron(" ".join(field.checked(part) for field, part in zip(_FIELDS, fields, strict=True)), zone)


def check_schedule(text: str) -> None:
    """Reads a schedule as upstream's library does, which takes a time zone before it. Raises: ScheduleError."""
    if text.startswith(("TZ=", "CRON_TZ=")):
        zone, _, text = text.partition(" ")
        name = zone.partition("=")[2]
        if name not in ("", "Local") and time_zone(name) is None:
            raise ScheduleError(f"provided bad location {name}: unknown time zone {name}")
    parse_schedule(text)


def time_zone(name: str) -> ZoneInfo | None:
    """Returns the zone of the IANA database; None where it has none of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


# The fields


@dataclass(frozen=True)
class _Field:
    low: int
    high: int
    names: tuple[str, ...] = ()
    """The names of the values, from the lowest."""

    def checked(self, text: str) -> str:
        """Returns the field in plain ranges. Raises: ScheduleError."""
        ranges = [self._range(part) for part in text.split(",") if part]
        return "*" if "*" in ranges else ",".join(ranges) or "-"  # which cronsim refuses: there is no value

    def _range(self, text: str) -> str:
        span, *steps = text.split("/")
        first, *others = span.split("-")
        is_star = first in ("*", "?")
        if is_star:
            start, end = self.low, self.high
        else:
            start = self._value(first)
            if len(others) > 1:
                raise ScheduleError(f"too many hyphens: {text}")
            end = self._value(others[0]) if others else start
        step = 1
        if len(steps) > 1:
            raise ScheduleError(f"too many slashes: {text}")
        if steps:
            step = _number(steps[0])
            end = end if others else self.high  # "5/10" is "5-59/10"
        if start < self.low:
            raise ScheduleError(f"beginning of range ({start}) below minimum ({self.low}): {text}")
        if end > self.high:
            raise ScheduleError(f"end of range ({end}) above maximum ({self.high}): {text}")
        if start > end:
            raise ScheduleError(f"beginning of range ({start}) beyond end of range ({end}): {text}")
        if step == 0:
            raise ScheduleError(f"step of range should be a positive number: {text}")
        if is_star and step == 1:
            return "*"
        return f"{start}-{end}" + (f"/{step}" if start < end else "")

    def _value(self, text: str) -> int:
        name = text.lower()
        return self.low + self.names.index(name) if name in self.names else _number(text)


def _number(text: str) -> int:
    if not (text.isascii() and text.removeprefix("+").isdigit()):
        raise ScheduleError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (_Field(0, 59), _Field(0, 23), _Field(1, 31), _Field(1, 12, _MONTHS), _Field(0, 6, _WEEKDAYS))
