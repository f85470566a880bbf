"""Writes the server's Tables as text, also tables that grow while they are watched."""

from __future__ import annotations

import argparse
from typing import Any

from apimachinery.text.jsonpath import relaxed
from kubectl.api.client import Dict
from kubectl.api.discovery import ResourceType
from kubectl.invocation.command import UsageError
from kubectl.output.printers import cell_text, parsed, table


class TableText:
    """Writes one kind's table; `text` may be called for part after part, and columns stay aligned."""

    def __init__(self, args: argparse.Namespace, kind: ResourceType, *, with_kind: bool) -> None:
        self._args, self._kind = args, kind
        self._prefix = f"{kind.display}/" if with_kind else ""
        self._labels = [name for item in args.label_columns for name in item.split(",")]
        self._namespaced = args.all_namespaces and kind.namespaced
        self._columns: list[Dict] = []
        self._widths: list[int] = []
        self._headed = args.no_headers

    def text(self, part: Dict) -> str:
        """The text of one part; the header line stands above the first rows only."""
        self._columns = part.get("columnDefinitions") or self._columns
        rows = part.get("rows") or []
        if not rows:
            return ""
        if self._args.sort_by:
            rows = sorted_by(rows, [row["object"] for row in rows], self._args.sort_by)
        wide = self._args.output == "wide"
        columns = [i for i, column in enumerate(self._columns) if wide or not column.get("priority")]
        lines = [self._line(row, columns) for row in rows]
        headers, self._headed = not self._headed, True
        return table(self._head(columns), lines, show_headers=headers, widths=self._widths)

    def _head(self, columns: list[int]) -> list[str]:
        head = (["NAMESPACE"] if self._namespaced else []) + [self._columns[i]["name"].upper() for i in columns]
        head += [name.rpartition("/")[2].upper() for name in self._labels]
        return head + (["LABELS"] if self._args.show_labels else [])

    def _line(self, row: Dict, columns: list[int]) -> list[str]:
        meta = row.get("object", {}).get("metadata", {})
        cells = ["" if row["cells"][i] is None else cell_text(row["cells"][i]) for i in columns]
        name = next((at for at, i in enumerate(columns) if self._columns[i].get("format") == "name"), 0)
        cells[name] = self._prefix + cells[name]
        own = meta.get("labels") or {}
        line = ([meta.get("namespace", "")] if self._namespaced else []) + cells
        line += [own.get(name, "") for name in self._labels]
        if self._args.show_labels:
            line.append(",".join(f"{k}={v}" for k, v in sorted(own.items())) or "<none>")
        return line


def sorted_by(rows: list[Dict], objects: list[Dict], path: str) -> list[Dict]:
    """Sorts `rows` by what a JSONPath finds in `objects`: numbers by value, the rest as text.

    Raises: UsageError for a malformed path, or one that no object has.
    """
    template = parsed(relaxed(path), "error parsing --sort-by: ")
    keys = [template.find(obj) for obj in objects]
    if rows and not any(keys):
        raise UsageError(f'couldn\'t find any field with path "{relaxed(path)}" in the list of objects')

    def rank(values: list[Any]) -> tuple[int, float, str]:
        if not values:
            return (0, 0, "")
        value = values[0]
        return (1, float(value), "") if isinstance(value, int | float) else (2, 0, str(value))

    order = sorted(range(len(rows)), key=lambda i: rank(keys[i]))
    return [rows[i] for i in order]
