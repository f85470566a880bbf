"""Times on the wire: RFC 3339 in UTC, seconds for `Time`, microseconds for `MicroTime`."""

from __future__ import annotations

from datetime import UTC, datetime

FIRST_SECONDS, LAST_SECONDS = -62_135_596_800, 253_402_300_799  # years 1 to 9999: all that can be written


def format_time(unix_seconds: float) -> str:
    """1700000000.9 -> "2023-11-14T22:13:20Z". Times beyond the years 1 to 9999 become the first or the last one."""
    seconds = min(max(int(unix_seconds), FIRST_SECONDS), LAST_SECONDS)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(unix_seconds: float) -> str:
    """1700000000.5 -> "2023-11-14T22:13:20.500000Z"."""
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> float:
    """Unix seconds of an RFC 3339 time; a 29th of February that its year lacks is the day after. Raises: ValueError."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        if text[4:10] != "-02-29":
            raise
        return parse_time(f"{text[:4]}-03-01{text[10:]}")


def format_date(unix_seconds: float) -> str:
    """1700000000.9 -> "2023-11-14", the day in UTC."""
    return format_time(unix_seconds)[:10]


def parse_date(text: str) -> float | None:
    """Unix seconds of the beginning of a day in UTC, "2023-11-14"; None if it is not written so."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def human_duration(seconds: float) -> str:
    """Ages as kubectl prints them: 45s, 3m5s, 12m, 3h20m, 26h, 5d2h, 40d, 3y10d."""
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    total = max(total, 0)
    if total < 120:
        return f"{total}s"
    minutes = total // 60
    if minutes < 10:
        return f"{minutes}m{total % 60}s" if total % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = total // 3600
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    years = days // 365
    if years < 8:
        return f"{years}y{days % 365}d" if days % 365 else f"{years}y"
    return f"{years}y"
