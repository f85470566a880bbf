"""Checks that ConfigMaps and Secrets share: keyed data with a size limit, and immutability.

Source: Kubernetes documentation, "ConfigMaps", "Secrets".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from apimachinery.validation import Errors

MAX_DATA_BYTES = 1024 * 1024
_FROZEN = "field is immutable when `immutable` is set"


def check_keys(errors: Errors, field: str, data: Mapping[str, str] | None, *, encoded: bool = False) -> int:
    """Checks the keys, and returns the size of the values in bytes, decoded where they are `encoded`."""
    size = 0
    for key, value in (data or {}).items():
        errors.check_config_key((field, f"[{key}]"), key)
        if encoded:
            size += len(value) // 4 * 3 - value.count("=", -2)
        else:
            size += len(value) if value.isascii() else len(value.encode())
    return size


def check_data_update(
    errors: Errors,
    immutable: bool | None,
    fields: Iterable[tuple[str, Mapping[str, str] | None, Mapping[str, str] | None]],
) -> None:
    """Refuses every change of an immutable object; `fields` are (name, new, old)."""
    if not immutable:
        errors.forbidden(("immutable",), _FROZEN)
    for name, new, old in fields:
        if (new or None) != (old or None):
            errors.forbidden((name,), _FROZEN)
