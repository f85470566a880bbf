"""Reads the text that programs serve for Prometheus. Pure.

Gauges, and metrics without a type, have the value that they show. A counter `x_total` is the metric `x`: how much it
grows in a second, between two readings. Histograms and summaries are left out.

Source: Prometheus documentation, "Exposition formats".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

MOST_SERIES = 10_000  # of one pod; the rest is not read
MOST_LINES, LONGEST_LINE = 30_000, 16_384
"""Those of an exposition that are read, and the characters of one: the parser's time grows with their square."""
SHORTEST_SECONDS = 1.0  # a rate over less says little

SeriesKey = tuple[str, tuple[tuple[str, str], ...]]
"""The metric and its labels, sorted."""


@dataclass(frozen=True)
class Exposition:
    """Holds the series that one pod showed at a time in Unix seconds."""

    time: float
    gauges: Mapping[SeriesKey, float]
    counters: Mapping[SeriesKey, float]


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a series; `window_seconds` is 0 for what was read at one moment."""

    labels: Mapping[str, str]
    value: float
    window_seconds: float


def read_exposition(text: str, now: float) -> Exposition:
    """Raises: ValueError for text of another form."""
    lines = text.split("\n", MOST_LINES)[:MOST_LINES]
    if max(map(len, lines)) > LONGEST_LINE:
        raise ValueError(f"a line is longer than {LONGEST_LINE} characters")
    gauges: dict[SeriesKey, float] = {}
    counters: dict[SeriesKey, float] = {}
    for family in text_string_to_metric_families("\n".join(lines)):
        for sample in family.samples:
            if len(gauges) + len(counters) >= MOST_SERIES:
                return Exposition(now, gauges, counters)
            if not math.isfinite(sample.value):
                continue
            labels = tuple(sorted(sample.labels.items()))
            if family.type in ("gauge", "unknown", "untyped"):
                gauges[(sample.name, labels)] = sample.value
            elif family.type == "counter" and sample.name.removesuffix("_total") == family.name:
                counters[(family.name, labels)] = sample.value
    return Exposition(now, gauges, counters)


def values(metric: str, last: Exposition, before: Exposition | None) -> Iterator[Value]:
    """Yields the series of a metric. A counter that has become smaller was restarted, and began at 0."""
    for (name, labels), value in last.gauges.items():
        if name == metric:
            yield Value(dict(labels), value, 0.0)
    seconds = last.time - before.time if before is not None else 0.0
    if before is None or seconds < SHORTEST_SECONDS:
        return
    for (name, labels), value in last.counters.items():
        old = before.counters.get((name, labels))
        if name == metric and old is not None:
            yield Value(dict(labels), (value - old if value >= old else value) / seconds, seconds)
