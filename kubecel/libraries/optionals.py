"""Values that may be missing: optional.of, optional.none, orValue ...

Source: the CEL language definition, "Optional types".
"""

from __future__ import annotations

from typing import Any

from kubecel.functions import Library
from kubecel.values import NONE, Duration, EvaluationError, Optional, Timestamp

LIBRARY = Library("optionals")


def _by_rule(*values: Any) -> Any:
    raise AssertionError("evaluated by a rule of its own")


LIBRARY.add("optional_type(T).or(optional_type(T)): optional_type(T)", _by_rule)
LIBRARY.add("optional_type(T).orValue(T): T", _by_rule)
LIBRARY.add("optional.of(T): optional_type(T)", lambda value: Optional(True, value))
LIBRARY.add("optional.none(): optional_type(T)", lambda: NONE)
LIBRARY.add("optional_type(T).hasValue(): bool", lambda value: value.present)


@LIBRARY("optional_type(T).value(): T")
def value_of(value: Optional) -> Any:
    if not value.present:
        raise EvaluationError("optional.none() dereference")
    return value.value


@LIBRARY("optional.ofNonZeroValue(T): optional_type(T)")
def of_non_zero(value: Any) -> Optional:
    zero = value in (Duration(0), Timestamp(0)) if isinstance(value, Duration | Timestamp) else not value
    return NONE if zero else Optional(True, value)
