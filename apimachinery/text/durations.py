"""Reads and writes durations as Go does: "1h30m", "300ms"."""

from __future__ import annotations

import re

_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_MOST_SECONDS = 2**63 / 1e9  # nanoseconds in 64 bits
_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Converts to seconds: "40s" -> 40.0, "1m30s" -> 90.0, "0" -> 0.0.

    Raises: ValueError for anything else (a plain number has no unit), and for more than 292 years.
    """
    body = text.removeprefix("-")
    if body == "0":
        return 0.0
    parts = _PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise ValueError(f"invalid duration {text!r}: write it like 300ms, 40s or 1m30s")
    seconds = sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    if seconds >= _MOST_SECONDS:
        raise ValueError(f"invalid duration {text!r}: it is longer than 292 years")
    return -seconds if text.startswith("-") else seconds


def format_duration(seconds: float) -> str:
    """Rounds to milliseconds: "0s", "340ms", "1.2s", "1m3.5s", "5m0s", "2h0m0s"."""
    millis = round(seconds * 1000)
    if 0 < millis < 1000:
        return f"{millis}ms"
    minutes, rest = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
