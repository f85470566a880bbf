"""From what the server answered to what the user sees: tables, YAML, JSON, names, JSONPath, custom columns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from kubectl.command import UsageError
from kubectl.jsonpath import JSONPathError, Template, relaxed, text_of

Dict = dict[str, Any]
Printer = Callable[[Dict], str]

FORMATS = (
    "json, yaml, name, wide, jsonpath=TEMPLATE, jsonpath-file=FILE, custom-columns=HEADER:PATH,…, "
    "custom-columns-file=FILE"
)


class _Dumper(yaml.CSafeDumper if hasattr(yaml, "CSafeDumper") else yaml.SafeDumper):  # type: ignore[misc]
    """YAML as kubectl writes it: block style, keys sorted, multi-line strings literal, lists not indented."""


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Literal where it has lines, in double quotes where it would read as another type."""
    tag = dumper.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    plain = tag == "tag:yaml.org,2002:str"
    style = "|" if "\n" in text else None if plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)


def to_yaml(value: object) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=False, allow_unicode=True, width=2**30)
    return text


def to_json(value: object) -> str:
    return json.dumps(value, indent=4, ensure_ascii=False) + "\n"


def without_managed_fields(obj: Dict) -> Dict:
    """`managedFields` is noise to people; kubectl hides it too."""
    for item in obj.get("items", [obj]):
        item.get("metadata", {}).pop("managedFields", None)
    return obj


def object_printer(output: str) -> Printer:
    """The printer of an `-o` format for whole objects or Lists (tables are `table`).

    Raises: UsageError for a format there is none of.
    """
    form, _, argument = output.partition("=")
    if form == "yaml":
        return lambda obj: to_yaml(without_managed_fields(obj))
    if form == "json":
        return lambda obj: to_json(without_managed_fields(obj))
    if form == "name":
        return lambda obj: "".join(f"{name_of(item)}\n" for item in obj.get("items", [obj]))
    if form in ("jsonpath", "jsonpath-file"):
        template = _template(_argument(output, argument, form))
        return template.render
    if form in ("custom-columns", "custom-columns-file"):
        return _custom_columns(_argument(output, argument, form), from_file=form.endswith("file"))
    raise UsageError(
        f"unable to match a printer suitable for the output format {output!r}, allowed formats are: {FORMATS}"
    )


def name_of(obj: Dict) -> str:
    """ "pod/web", "deployment.apps/web"."""
    group = obj.get("apiVersion", "").rpartition("/")[0]
    kind = obj.get("kind", "").lower() + (f".{group}" if group else "")
    return f"{kind}/{obj['metadata'].get('name', '')}"


def _argument(output: str, argument: str, form: str) -> str:
    if not argument:
        raise UsageError(f"{form} format specified but no template given: use -o {form}=…")
    if form.endswith("-file"):
        try:
            return Path(argument).read_text()
        except OSError as error:
            raise UsageError(f"error reading {argument}: {error.strerror}") from error
    return argument


def _template(source: str) -> Template:
    try:
        return Template(source if "{" in source else relaxed(source))
    except JSONPathError as error:
        raise UsageError(f"error parsing jsonpath {source}, {error}") from error


def _custom_columns(spec: str, *, from_file: bool) -> Printer:
    try:
        if from_file:
            headers_line, paths_line = spec.strip().splitlines()[:2]
            pairs = list(zip(headers_line.split(), paths_line.split(), strict=True))
        else:
            pairs = [(column.split(":", 1)[0], column.split(":", 1)[1]) for column in spec.split(",")]
        columns = [(header, Template(relaxed(path))) for header, path in pairs]
    except (ValueError, IndexError, JSONPathError) as error:
        raise UsageError(
            f"unexpected custom-columns spec: {spec}, expected <header>:<json-path-expr>: {error}"
        ) from error

    def render(obj: Dict) -> str:
        rows = []
        for item in obj.get("items", [obj]):
            found = [template.find(item) for _, template in columns]
            rows.append([",".join(map(text_of, values)) if values else "<none>" for values in found])
        return table([header for header, _ in columns], rows)

    return render


def table(headers: list[str], rows: list[list[str]], *, show_headers: bool = True) -> str:
    """Left-aligned columns three spaces apart, at least six wide, as kubectl's."""
    lines = [headers, *rows] if show_headers else rows
    if not lines:
        return ""
    widths = [max(max(len(line[i]) for line in lines) + 3, 6) for i in range(len(lines[0]))]
    return "".join(_line(line, widths) for line in lines)


def _line(cells: list[str], widths: list[int]) -> str:
    return ("".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))).rstrip() + "\n"


def cell_text(value: object) -> str:
    """A Table cell; line breaks end it, as kubectl cuts them."""
    if value is None:
        return "<none>"
    text = str(value)
    return text.split("\n", 1)[0] + "..." if "\n" in text else text
