"""Paths in objects, as pairs that grow at the end: rendered only when there is something to report."""

from __future__ import annotations

from typing import Any

At = tuple[Any, str | int] | None
"""(the path of the parent, a name or an index); None is the object itself."""


def dotted(at: At) -> str:
    """ "spec.map.key[0]": as messages about values spell a path, and warnings."""
    text = ""
    while at is not None:
        at, part = at
        text = f"[{part}]{text}" if isinstance(part, int) else f".{part}{text}"
    return text.removeprefix(".")
