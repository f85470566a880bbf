"""Columns and selectable fields of custom resources, by the JSONPaths of their definition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from apimachinery.columns import AGE, NAME, UNKNOWN, since
from apimachinery.custom import CustomObject
from apimachinery.model import to_dict
from apimachinery.resource import Column
from apimachinery.text.jsonpath import JSONPathError, Template, text_of

Find = Callable[[CustomObject], Any]

_AGE = Column("Age", AGE.value, AGE.description, "date")


def columns_of(definitions: Iterable[Mapping[str, Any]]) -> tuple[Column, ...]:
    """The name, and the columns of the definition; the age where it has none."""
    own = tuple(map(_column, definitions))
    return (NAME, *(own or (_AGE,)))


def _column(definition: Mapping[str, Any]) -> Column:
    kind = definition["type"]
    return Column(
        definition["name"],
        _cell(finder(definition["jsonPath"]), kind),
        definition.get("description") or f"The value at {definition['jsonPath']} of the object.",
        kind,
        definition.get("format") or "",
        definition.get("priority") or 0,
    )


def _cell(find: Find, kind: str) -> Callable[[CustomObject, float], object]:
    def value(obj: CustomObject, now: float) -> object:
        found = find(obj)
        if found is None:
            return None
        if kind == "string":
            return text_of(found)
        if kind == "date":
            try:
                return since(found, now)
            except (TypeError, ValueError):
                return UNKNOWN if isinstance(found, str) else None
        if kind == "boolean":
            return found if isinstance(found, bool) else None
        if isinstance(found, bool) or not isinstance(found, int | float):
            return None
        return int(found) if kind == "integer" else found

    return value


def finder(path: str) -> Find:
    """Finds the first value at a JSONPath; None where there is none. Plain paths, as nearly all are, take no parser."""
    parts = path.removeprefix(".").split(".")
    if path.startswith(".metadata"):
        template = Template("{" + path + "}")
        return lambda obj: _first(template, {"metadata": to_dict(obj.metadata)})
    if all(part.replace("_", "a").isalnum() for part in parts):
        return lambda obj: value_at(obj.content, parts)
    template = Template("{" + path + "}")
    return lambda obj: _first(template, obj.content)


def value_at(value: Any, parts: Iterable[str]) -> Any:
    for part in parts:
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _first(template: Template, value: Any) -> Any:
    try:
        return next(iter(template.find(value)), None)
    except JSONPathError:
        return None


def fields_of(definitions: Iterable[Mapping[str, Any]]) -> dict[str, Callable[[CustomObject], str]]:
    """Field selector -> its value in an object, "" where it has none."""
    return {item["jsonPath"].removeprefix("."): _text(finder(item["jsonPath"])) for item in definitions}


def _text(find: Find) -> Callable[[CustomObject], str]:
    def value(obj: CustomObject) -> str:
        found = find(obj)
        return "" if found is None else text_of(found)

    return value
