"""Writes metrics in Prometheus' text format, where every series is made anew for each scrape."""

from __future__ import annotations

from collections.abc import Mapping

ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def label_text(labels: Mapping[str, str]) -> str:
    """Writes {"a": "1"} as `a="1"`, sorted by name."""
    return ",".join(f'{name}="{labels[name].translate(ESCAPES)}"' for name in sorted(labels))


class Exposition:
    """Collects series by metric: one metric's series have to follow one another."""

    def __init__(self) -> None:
        self._metrics: dict[str, tuple[str, str, list[str]]] = {}

    def add(self, name: str, kind: str, help: str, labels: str, value: float | int, time: float | None = None) -> None:
        """Adds a series; `labels` are as `label_text` writes them, `time` in unix seconds."""
        series = self._metrics.get(name)
        if series is None:
            series = self._metrics[name] = (kind, help, [])
        shown = f"{{{labels}}}" if labels else ""
        stamp = "" if time is None else f" {int(time * 1000)}"
        series[2].append(f"{name}{shown} {value!r}{stamp}")

    def render(self) -> bytes:
        lines: list[str] = []
        for name, (kind, help, series) in sorted(self._metrics.items()):
            lines += (f"# HELP {name} {help}", f"# TYPE {name} {kind}", *series)
        return ("\n".join(lines) + "\n").encode()
