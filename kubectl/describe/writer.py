"""Lines of `describe`: "Name:   value" aligned in blocks, nested by indentation."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from apimachinery.times import human_duration, parse_time

INDENT = 2


class Writer:
    """Collects (level, label, value) lines; `text()` aligns the values of neighbours of one level."""

    def __init__(self) -> None:
        self._lines: list[tuple[int, str, str | None]] = []

    def field(self, label: str, value: object, level: int = 0) -> None:
        self._lines.append((level, f"{label}:", "<none>" if value in (None, "") else str(value)))

    def heading(self, label: str, level: int = 0) -> None:
        self._lines.append((level, f"{label}:", None))

    def line(self, text: str, level: int = 0) -> None:
        self._lines.append((level, text, None))

    def mapping(self, label: str, values: Mapping[str, str] | None, separator: str = "=", level: int = 0) -> None:
        """Labels and annotations, one a line."""
        pairs = [f"{key}{separator}{value}" for key, value in sorted((values or {}).items())]
        self.items(label, pairs, level)

    def items(self, label: str, values: Iterable[str], level: int = 0) -> None:
        first, *rest = list(values) or ["<none>"]
        self._lines.append((level, f"{label}:", first))
        self._lines += [(level, "", value) for value in rest]

    def table(self, headers: list[str], rows: list[list[str]], level: int = 1) -> None:
        """A small table with a ruled head."""
        lines = [headers, ["-" * len(header) for header in headers], *rows]
        widths = [max(len(line[i]) for line in lines) + 2 for i in range(len(headers))]
        for line in lines:
            self.line("".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip(), level)

    def text(self) -> str:
        widths: dict[int, int] = {}
        out: list[str] = []
        block: list[tuple[int, str, str | None]] = []

        def flush() -> None:
            widths.clear()
            for level, label, value in block:
                if value is not None:
                    widths[level] = max(widths.get(level, 0), len(label))
            for level, label, value in block:
                pad = " " * (level * INDENT)
                out.append(pad + (label if value is None else f"{label.ljust(widths[level])}  {value}").rstrip())
            block.clear()

        for entry in self._lines:
            if entry[0] == 0 and entry[2] is None and block:
                flush()
            block.append(entry)
        flush()
        return "\n".join(out) + "\n"


def when(text: str | None) -> str:
    """A time as describe shows it: "Mon, 02 Jan 2006 15:04:05 +0000"."""
    if not text:
        return "<unset>"
    return datetime.fromtimestamp(parse_time(text), UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")


def age(text: str | None) -> str:
    return human_duration(time.time() - parse_time(text)) if text else "<unknown>"
