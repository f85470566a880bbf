"""Metrics that pods serve for Prometheus: which of them are served on, and with which values."""

from __future__ import annotations

import time

import pytest

from metrics_server import series
from metrics_server.series import Exposition, read_exposition, values

TEXT = """\
# TYPE depth gauge
depth{queue="a"} 3
depth{queue="b"} 4.5
# TYPE hits_total counter
hits_total{path="/"} %d
# TYPE latency histogram
latency_bucket{le="+Inf"} 1
latency_sum 1
latency_count 1
# TYPE broken gauge
broken NaN
free_text 7
"""


def shown(hits: int, now: float) -> Exposition:
    return read_exposition(TEXT % hits, now)


def found(metric: str, last: Exposition, before: Exposition | None = None) -> list[tuple[dict[str, str], float]]:
    return [(dict(value.labels), value.value) for value in values(metric, last, before)]


def test_gauges_have_the_value_that_they_show() -> None:
    last = shown(0, 10.0)
    assert found("depth", last) == [({"queue": "a"}, 3.0), ({"queue": "b"}, 4.5)]
    assert found("free_text", last) == [({}, 7.0)]


@pytest.mark.parametrize("name", ["broken", "latency", "latency_sum", "hits_total", "other"])
def test_what_is_no_number_of_its_own_is_left_out(name: str) -> None:
    assert found(name, shown(5, 20.0), shown(0, 10.0)) == []


def test_a_counter_is_how_much_it_grows_in_a_second() -> None:
    assert found("hits", shown(50, 20.0)) == []  # one reading says nothing
    assert found("hits", shown(50, 20.0), shown(20, 10.0)) == [({"path": "/"}, 3.0)]
    assert found("hits", shown(10, 20.0), shown(20, 10.0)) == [({"path": "/"}, 1.0)]  # it began anew
    assert found("hits", shown(50, 10.5), shown(20, 10.0)) == []  # too little time


def test_a_text_that_is_no_exposition_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid metric name"):
        read_exposition("<html>", 0.0)


def test_no_more_series_are_read_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "MOST_SERIES", 2)
    assert len(shown(0, 0.0).gauges) == 2


def test_no_more_lines_are_read_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "MOST_LINES", 5)
    assert len(shown(0, 0.0).gauges) == 2  # the other ones are further below


def test_a_line_without_an_end_costs_no_time() -> None:
    start = time.process_time()
    with pytest.raises(ValueError, match="longer than"):
        read_exposition("a{" + ",".join(f'l{number}="v"' for number in range(200_000)) + "} 1", 0.0)
    assert time.process_time() - start < 2.0
