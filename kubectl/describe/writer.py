"""Aligns the text of `describe`: cells of lines below each other that have the same columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from apimachinery.times import parse_time
from kubectl.api.client import Dict

INDENT = "  "
GAP = 2  # spaces behind the widest cell of a column
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LONGEST_ANNOTATION = 140  # characters; a longer one, or one of several lines, stands below its key


class TextWriter:
    """Collects lines; `text()` aligns them.

    Cells of a line end with a tab. A column is a run of lines below each other that all have that cell; what follows a
    line's last tab belongs to none. Source: the rules of Go's text/tabwriter, which decide how kubectl's output looks.
    """

    def __init__(self) -> None:
        self._above = ""
        self._lines: list[str] = []

    def line(self, text: str = "", level: int = 0) -> None:
        self._lines.append(INDENT * level + text)

    def heading(self, label: str, level: int = 0) -> None:
        self.line(f"{label}:", level)

    def field(self, label: str, value: object, level: int = 0) -> None:
        """Writes one value: an absent one is <none>, an empty text stays empty, and yes and no are in lower case."""
        text = "<none>" if value is None else str(value).lower() if isinstance(value, bool) else value
        self.line(f"{label}:\t{text}", level)

    def present(self, values: Mapping[str, object], labels: Iterable[tuple[str, str]], level: int = 0) -> None:
        """Writes a field for each (label, key) that has a value; lists are joined by commas."""
        for label, key in labels:
            if value := values.get(key):
                self.field(label, ",".join(map(str, value)) if isinstance(value, list) else value, level)

    def items(self, label: str, values: Iterable[str], level: int = 0, margin: str = "") -> None:
        """Writes one value a line, the label before the first; `margin` is what kubectl sets before values in some
        places."""
        first, *rest = list(values) or ["<none>"]
        self.field(label, margin + first, level)
        for value in rest:
            self.line(f"{margin}\t{margin}{value}", level)

    def labels(self, label: str, values: Mapping[str, str] | None, level: int = 0, margin: str = "") -> None:
        self.items(label, [f"{key}={value}" for key, value in sorted((values or {}).items())], level, margin)

    def annotations(self, values: Mapping[str, str] | None, level: int = 0, margin: str = "") -> None:
        """Writes annotations, but for the copy of the manifest that `apply` keeps."""
        lines: list[str] = []
        for key, value in sorted((values or {}).items()):
            text = value.removesuffix("\n")
            if key == LAST_APPLIED:
                continue
            if "\n" not in text and len(key) + len(text) + 2 <= LONGEST_ANNOTATION:
                lines.append(f"{key}: {text}")
                continue
            lines.append(f"{key}:")
            limit = LONGEST_ANNOTATION - 2
            lines += [f"  {part[:limit] + '...' if len(part) > limit else part}" for part in text.split("\n")]
        self.items("Annotations", lines, level, margin)

    def head(self, obj: Dict) -> None:
        """Writes name, namespace, labels and annotations."""
        self.name(obj)
        self.notes(obj["metadata"])

    def name(self, obj: Dict) -> None:
        """Writes name and namespace."""
        self.present(obj["metadata"], [("Name", "name"), ("Namespace", "namespace")])

    def notes(self, meta: Dict, level: int = 0, margin: str = "") -> None:
        """Writes labels and annotations."""
        self.labels("Labels", meta.get("labels"), level, margin)
        self.annotations(meta.get("annotations"), level, margin)

    def table(self, headers: Sequence[str], rows: list[list[str]], level: int = 1, *, ruled: bool = True) -> None:
        """Writes a small table, by default with a rule below its head."""
        rule = [["-" * len(header) for header in headers]] if ruled else []
        for row in [headers, *rule, *rows]:
            self.line("\t".join(row), level)

    def verbatim(self, text: str) -> None:
        """Writes text whose tabs are its own."""
        self._above = self.text() + text
        self._lines = []

    def text(self) -> str:
        lines: list[str] = []
        _format([line.split("\t") for line in self._lines], [], lines)
        return self._above + "".join(f"{line}\n" for line in lines)


def _format(lines: list[list[str]], widths: list[int], out: list[str]) -> None:
    """Writes `lines`, whose first columns have these widths, run by run of the next column."""
    column, start = len(widths), 0
    while start < len(lines):
        if len(lines[start]) - 1 <= column:
            cells = lines[start]
            out.append("".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)) + cells[-1])
            start += 1
            continue
        end = start
        while end < len(lines) and len(lines[end]) - 1 > column:
            end += 1
        run = lines[start:end]
        _format(run, [*widths, max(len(line[column]) for line in run) + GAP], out)
        start = end


def when(text: str | None) -> str:
    """A time as describe writes it: "Mon, 02 Jan 2006 15:04:05 +0000"."""
    if not text:
        return "<unset>"
    return datetime.fromtimestamp(parse_time(text), UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
