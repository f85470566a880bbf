"""Ages of objects and Events, as kubectl writes them."""

from __future__ import annotations

import time

from apimachinery.times import human_duration, parse_time
from kubectl.api.client import Dict


def age(text: str | None) -> str:
    """The time since `text`: "5m"."""
    return human_duration(time.time() - parse_time(text)) if text else "<unknown>"


def last_seen(event: Dict) -> float:
    """The time of the event's last occurrence, in Unix seconds."""
    series = (event.get("series") or {}).get("lastObservedTime")
    text = series or event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    return parse_time(text) if text else 0.0


def event_age(event: Dict, now: float) -> str:
    """The age of an event: "5m", or "10s (x4 over 5m)" for one that recurs."""
    last = human_duration(now - last_seen(event))
    count = (event.get("series") or {}).get("count") or event.get("count") or 1
    first = event.get("firstTimestamp") or event.get("eventTime")
    if count > 1 and first:
        return f"{last} (x{count} over {human_duration(now - parse_time(first))})"
    return last
