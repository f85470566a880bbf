"""Parts of timestamps and durations: t.getHours(), t.getDayOfWeek("Europe/Vienna"), d.getSeconds() ..."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kubecel._times import offset_zone
from kubecel.functions import Library
from kubecel.values import SECOND, Duration, EvaluationError, Timestamp

LIBRARY = Library("times")

_PARTS: dict[str, Callable[[datetime, Timestamp], int]] = {
    "getFullYear": lambda moment, value: moment.year,
    "getMonth": lambda moment, value: moment.month - 1,
    "getDate": lambda moment, value: moment.day,
    "getDayOfMonth": lambda moment, value: moment.day - 1,
    "getDayOfWeek": lambda moment, value: moment.isoweekday() % 7,
    "getDayOfYear": lambda moment, value: moment.timetuple().tm_yday - 1,
    "getHours": lambda moment, value: moment.hour,
    "getMinutes": lambda moment, value: moment.minute,
    "getSeconds": lambda moment, value: moment.second,
    "getMilliseconds": lambda moment, value: value.nanos % SECOND // 10**6,
}


def _zone(name: str) -> tzinfo:
    offset = offset_zone(name) if name else UTC
    if offset is not None:
        return offset
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise EvaluationError(f"unknown time zone {name}") from None


def _declare(name: str, part: Callable[[datetime, Timestamp], int]) -> None:
    def read(value: Timestamp, zone: str | None = None) -> int:
        try:
            return part(value.moment().astimezone(UTC if zone is None else _zone(zone)), value)
        except OverflowError:
            raise EvaluationError("timestamp overflow") from None

    LIBRARY.add(f"timestamp.{name}(): int", read)
    LIBRARY.add(f"timestamp.{name}(string): int", read)


for part_name, part_of in _PARTS.items():
    _declare(part_name, part_of)


def _whole(value: Duration, unit: int) -> int:
    whole = abs(value.nanos) // unit
    return whole if value.nanos >= 0 else -whole


LIBRARY.add("duration.getHours(): int", lambda value: _whole(value, 3600 * SECOND))
LIBRARY.add("duration.getMinutes(): int", lambda value: _whole(value, 60 * SECOND))
LIBRARY.add("duration.getSeconds(): int", lambda value: _whole(value, SECOND))
LIBRARY.add("duration.getMilliseconds(): int", lambda value: _whole(value, 10**6))
