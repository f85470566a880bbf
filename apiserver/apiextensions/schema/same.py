"""Whether two JSON values are the same, where Python's own equality takes `1`, `1.0` and `true` for one."""

from __future__ import annotations

from typing import Any


def same(left: Any, right: Any) -> bool:
    """Compares in depth. Numbers are the same if they are equal; neither is a boolean."""
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(same(value, right[name]) for name, value in left.items())
        )
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)
