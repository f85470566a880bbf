"""Reads the schedule of a CronJob, and says when it comes round next.

The grammar and its messages are upstream's: there is no 7 for Sunday, no L and no #, but there are `?` and
`@every 90m`, and `*/2` of a day counts as a restriction where `*` doesn't. A schedule comes round at every minute that
a clock of the time zone shows: one that is skipped in spring is left out, one that is shown twice in autumn counts
twice. The libraries for cron (croniter, cronsim) run the skipped one at the next full hour, and take what is refused
here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apimachinery.durations import parse_duration

MOST_YEARS = 5
"""A schedule that does not come round within so many years never does."""

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


_LAST_SECOND = datetime(9999 - MOST_YEARS - 1, 1, 1, tzinfo=UTC).timestamp()
"""Later times, which only someone who writes a status by hand can come to, have no date some years on."""


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
    """Comes round at the minutes whose fields are all in these sets."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    is_any_day: bool
    """Days of the month or of the week are "*", so that a day must be in both sets; else one is enough."""
    zone: tzinfo

    def next(self, after: float) -> float | None:
        """Returns the first such minute after the time, both in Unix seconds; None if there is none for years."""
        if not all((self.minutes, self.hours, self.days, self.months, self.weekdays)):
            return None  # as for ",": to look at every minute of years would take seconds
        if after >= _LAST_SECOND:
            return None
        moment = max(int(after) // 60 * 60 + 60, 0.0)
        last_year = datetime.fromtimestamp(moment, self.zone).year + MOST_YEARS
        while (local := datetime.fromtimestamp(moment, self.zone)).year <= last_year:
            if local.month not in self.months:
                later = self._midnight((local.replace(day=1) + timedelta(days=32)).replace(day=1))
            elif not self._has_day(local):
                later = self._midnight(local + timedelta(days=1))
            elif local.hour not in self.hours:
                later = moment + 3600 - local.minute * 60
            elif local.minute not in self.minutes:
                later = moment + 60
            else:
                return moment
            moment = max(later, moment + 60)  # where clocks go back over midnight, its first showing is past
        return None

    def _has_day(self, local: datetime) -> bool:
        in_month, in_week = local.day in self.days, local.isoweekday() % 7 in self.weekdays
        return in_month and in_week if self.is_any_day else in_month or in_week

    def _midnight(self, local: datetime) -> float:
        return datetime(local.year, local.month, local.day, tzinfo=self.zone).timestamp()


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
    parsed = [field.parse(part) for field, part in zip(_FIELDS, fields, strict=True)]
    minutes, hours, days, months, weekdays = (values for values, _ in parsed)
    return Cron(minutes, hours, days, months, weekdays, parsed[2][1] or parsed[4][1], zone)


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

    def parse(self, text: str) -> tuple[frozenset[int], bool]:
        """Returns the values, and whether one of the parts is a plain star."""
        parsed = [self._range(part) for part in text.split(",") if part]
        return frozenset(value for values, _ in parsed for value in values), any(is_star for _, is_star in parsed)

    def _range(self, text: str) -> tuple[range, bool]:
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
        return range(start, end + 1, step), is_star and step == 1

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
