"""Paths to fields as definitions write them: `.spec.replicas`, `.spec['a.b']`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_STEP = re.compile(r"\.([^.\[\]]+)|\['((?:[^'\\]|\\.)*)'\]")


def resolve(text: str, schema: Mapping[str, Any], *, arrays: bool = True) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """Returns names, those of a map's members in brackets, and the schema of the field that the path leads to.

    `arrays` allows the bracketed form. Raises: ValueError for a path that leads to no field.
    """
    position, parts = 0, []
    while position < len(text):
        step = _STEP.match(text, position)
        if not arrays and text[position] == "[":
            raise ValueError("array notation is not allowed")
        if step is None:
            raise ValueError(f"expected [ or . but got: {text[position:]}")
        name = step[1] if step[1] is not None else re.sub(r"\\(.)", r"\1", step[2])
        properties = schema.get("properties") or {}
        if name in properties:
            schema = properties[name]
            parts.append(name)
        elif isinstance(further := schema.get("additionalProperties"), Mapping):
            schema = further
            parts.append(f"[{name}]")
        else:
            raise ValueError("does not refer to a valid field")
        position = step.end()
    if not parts:
        raise ValueError("must not be empty")
    return tuple(parts), schema
