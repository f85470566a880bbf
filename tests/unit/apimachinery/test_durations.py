"""How durations are written."""

from __future__ import annotations

import pytest

from apimachinery.text.durations import format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.3404, "340ms"), (1.2, "1.2s"), (10, "10s"), (63.5, "1m3.5s"), (80, "1m20s"), (300, "5m0s"),
     (3661, "1h1m1s"), (7200, "2h0m0s")],
)  # fmt: skip
def test_durations_are_written_as_go_does(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
