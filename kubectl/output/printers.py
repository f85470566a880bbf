"""Prints objects in the formats of `-o`: YAML, JSON, names, JSONPath, custom columns; and aligns tables."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from apimachinery.text.jsonpath import JSONPathError, Template, relaxed, text_of
from apimachinery.text.yaml import to_yaml
from kubectl.api.client import Dict
from kubectl.invocation.command import UsageError
from kubectl.invocation.flags import FORMATS

Printer = Callable[[Dict], str]

MIN_WIDTH = 6  # of a column
COLUMN_GAP = 3


def to_json(value: object) -> str:
    """Writes JSON as kubectl does: sorted, and with what HTML would take for a tag escaped."""
    text = json.dumps(value, indent=4, ensure_ascii=False, sort_keys=True)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e") + "\n"


def without_managed_fields(obj: Dict) -> Dict:
    """Removes `managedFields`, which is noise to people; kubectl hides it too."""
    for item in obj.get("items", [obj]):
        item.get("metadata", {}).pop("managedFields", None)
    return obj


def object_printer(output: str, *, headers: bool = True, managed_fields: bool = False) -> Printer:
    """The printer of an `-o` format for whole objects or Lists (tables are `table`).

    `headers` concerns custom columns, `managed_fields` (to show them) YAML and JSON.

    Raises: UsageError for a format that does not exist.
    """
    form, _, argument = output.partition("=")
    prepare = (lambda obj: obj) if managed_fields else without_managed_fields
    if form == "yaml":
        return lambda obj: to_yaml(prepare(obj))
    if form == "json":
        return lambda obj: to_json(prepare(obj))
    if form == "name":
        return lambda obj: "".join(f"{name_of(item)}\n" for item in obj.get("items", [obj]))
    if form in ("jsonpath", "jsonpath-file", "jsonpath-as-json"):
        return _jsonpath(_argument(argument, form), as_json=form == "jsonpath-as-json")
    if form in ("custom-columns", "custom-columns-file"):
        return _custom_columns(_argument(argument, form), from_file=form.endswith("file"), headers=headers)
    raise UsageError(
        f'unable to match a printer suitable for the output format "{output}", allowed formats are: {FORMATS}'
    )


def printer_of(args: argparse.Namespace) -> Printer:
    """The printer that -o, --show-managed-fields and --no-headers ask for, as far as the verb has them.

    Raises: UsageError.
    """
    options = vars(args)
    headers, managed_fields = not options.get("no_headers"), bool(options.get("show_managed_fields"))
    return object_printer(args.output, headers=headers, managed_fields=managed_fields)


def name_of(obj: Dict) -> str:
    """ "pod/web", "deployment.apps/web"."""
    group = obj.get("apiVersion", "").rpartition("/")[0]
    kind = obj.get("kind", "").lower() + (f".{group}" if group else "")
    return f"{kind}/{obj['metadata'].get('name') or '<unknown>'}"


def _argument(argument: str, form: str) -> str:
    if not argument:
        columns = form.startswith("custom-columns")
        raise UsageError(
            f"{form} format specified but no custom columns given"
            if columns
            else "template format specified but no template given"
        )
    if form.endswith("-file"):
        try:
            return Path(argument).read_text()
        except OSError as error:
            raise UsageError(f"error reading {argument}: {error.strerror}") from error
    return argument


def parsed(source: str, refusal: str) -> Template:
    """Raises: UsageError with what is wrong behind `refusal`."""
    try:
        return Template(source)
    except JSONPathError as error:
        raise UsageError(f"{refusal}{error}") from error


def _jsonpath(source: str, *, as_json: bool) -> Printer:
    template = parsed(source, f"error parsing jsonpath {source}, ")

    def render(obj: Dict) -> str:
        try:
            return to_json(template.find(obj)) if as_json else template.render(obj)
        except JSONPathError as error:
            raise UsageError(f'error executing jsonpath "{source}": {error}') from error

    return render


def _custom_columns(spec: str, *, from_file: bool, headers: bool) -> Printer:
    columns = [
        (header, parsed(relaxed(path), f"error parsing custom-columns path {path}: "))
        for header, path in (_file_pairs(spec) if from_file else _pairs(spec))
    ]

    def render(obj: Dict) -> str:
        rows = []
        for item in obj.get("items", [obj]):
            cells = [template.find(item) for _, template in columns]
            rows.append([",".join(map(go_text, values)) if values else "<none>" for values in cells])
        return table([header for header, _ in columns], rows, show_headers=headers)

    return render


def _pairs(spec: str) -> Iterator[tuple[str, str]]:
    for column in spec.split(","):
        header, colon, path = column.partition(":")
        if not colon:
            raise UsageError(f"unexpected custom-columns spec: {column}, expected <header>:<json-path-expr>")
        yield header, path


def _file_pairs(text: str) -> list[tuple[str, str]]:
    lines = [line.split() for line in text.strip().splitlines()[:2]]
    if len(lines) < 2 or len(lines[0]) != len(lines[1]):
        raise UsageError("number of headers and field specifiers must match: a line of names, and a line of paths")
    return list(zip(*lines, strict=True))


def go_text(value: Any) -> str:
    """A value in a custom column: "map[app:web tier:front]", "[a b]"."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_text(item)}" for key, item in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_text, value)) + "]"
    return "<nil>" if value is None else text_of(value)


def table(
    headers: list[str], rows: list[list[str]], *, show_headers: bool = True, widths: list[int] | None = None
) -> str:
    """Aligns columns as kubectl does: to the left, three spaces apart, at least six wide, the last one not padded.

    `widths` carries over between the parts of a table that grows: its columns only ever widen.
    """
    lines = [headers, *rows] if show_headers else rows
    if not lines:
        return ""
    widths = [] if widths is None else widths
    widths += [MIN_WIDTH] * (len(headers) - len(widths))
    for i in range(len(headers)):
        widths[i] = max(widths[i], *(len(line[i]) + COLUMN_GAP for line in lines))
    return "".join(_line(line, widths) for line in lines)


def _line(cells: list[str], widths: list[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells[:-1], widths, strict=False)]
    return "".join(padded) + cells[-1] + "\n"


def cell_text(value: object) -> str:
    """The text of a Table cell, which ends at its first line break, as kubectl's."""
    if value is None:
        return "<none>"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.split("\n", 1)[0] + "..." if "\n" in text else text
