"""Fields, indices and entries of values: `a.b`, `a.?b`, `a[0]`, `{a: b}`."""

from __future__ import annotations

from typing import Any

from kubecel.values import NONE, EvaluationError, Optional, UInt, has_key

NO_OVERLOAD = "no such overload"


class Constructed(dict[str, Any]):
    """A value of an object type that the expression constructs; `name` is that of the type."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


def selected(value: Any, key: Any) -> Any:
    """`value.key`. Raises: EvaluationError."""
    if isinstance(value, dict):
        try:
            return value[key]
        except KeyError:
            raise EvaluationError(f"no such key: {key}") from None
    if isinstance(value, Optional):
        return optional_selected(value, key)
    raise EvaluationError(NO_OVERLOAD)


def optional_selected(value: Any, key: Any) -> Optional:
    """`value.?key` and `value[?key]`."""
    if isinstance(value, Optional):
        if not value.present:
            return NONE
        value = value.value
    try:
        return Optional(True, indexed(value, key))
    except EvaluationError:
        if isinstance(value, dict | list | tuple):
            return NONE
        raise


def indexed(value: Any, key: Any) -> Any:
    """`value[key]`. Raises: EvaluationError."""
    if isinstance(value, dict):
        if key.__class__ is str:
            return selected(value, key)
        if key.__class__ in (int, UInt, float, bool):
            if has_key(value, key):
                return value[key]
            raise EvaluationError(f"no such key: {shown(key)}")
        raise EvaluationError(f"unsupported key type: {key.__class__.__name__}")
    if isinstance(value, list | tuple):
        if key.__class__ is float and key.is_integer():
            key = int(key)
        if key.__class__ not in (int, UInt):
            raise EvaluationError(NO_OVERLOAD)
        if not 0 <= key < len(value):
            raise EvaluationError(f"index out of bounds: {key}")
        return value[key]
    if isinstance(value, Optional):
        return optional_selected(value, key)
    raise EvaluationError(NO_OVERLOAD)


def shown(value: Any) -> str:
    return str(value).lower() if value.__class__ is bool else str(value)


def put(into: dict[Any, Any], key: Any, value: Any, optional: bool) -> None:
    """Adds an entry to a map that an expression makes. Raises: EvaluationError."""
    if optional:
        if not isinstance(value, Optional):
            raise EvaluationError(NO_OVERLOAD)
        if not value.present:
            return
        value = value.value
    if key.__class__ not in (str, int, UInt, bool):
        raise EvaluationError("unsupported key type")
    if has_key(into, key):
        raise EvaluationError(f"Failed with repeated key: {shown(key)}")
    into[key] = value
