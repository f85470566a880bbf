"""JSON merge patch, on plain JSON types.

Source: RFC 7386.
"""

from __future__ import annotations

from typing import Any

Json = Any


def merge_patch(doc: Json, patch: Json) -> Json:
    """Applies a patch of RFC 7386. Neither argument is changed; untouched parts are shared."""
    if not isinstance(patch, dict):
        return patch
    result = dict(doc) if isinstance(doc, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def create_merge_patch(old: Json, new: Json) -> dict[str, Any]:
    """Returns the merge patch that turns object `old` into `new`."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key not in old:
            patch[key] = value
        elif isinstance(value, dict) and isinstance(old[key], dict):
            if inner := create_merge_patch(old[key], value):
                patch[key] = inner
        elif value != old[key]:
            patch[key] = value
    return patch


def three_way_merge(original: Json, modified: Json, current: Json) -> dict[str, Any]:
    """Returns the merge patch of `kubectl apply` for kinds without a model. It sets what differs between `modified` and
    `current`, and removes what `original` (the last applied) has and `modified` lacks."""
    patch = _additions(current, modified)
    return _with_deletions(patch, original or {}, modified)


def _additions(current: dict[str, Any], modified: dict[str, Any]) -> dict[str, Any]:
    patch: dict[str, Any] = {}
    for key, value in modified.items():
        if isinstance(value, dict) and isinstance(current.get(key), dict):
            if inner := _additions(current[key], value):
                patch[key] = inner
        elif key not in current or value != current[key]:
            patch[key] = value
    return patch


def _with_deletions(patch: dict[str, Any], original: dict[str, Any], modified: dict[str, Any]) -> dict[str, Any]:
    for key, value in original.items():
        if key not in modified:
            patch[key] = None
        elif isinstance(value, dict) and isinstance(modified[key], dict):
            inner = patch.get(key, {})
            if isinstance(inner, dict) and (deeper := _with_deletions(dict(inner), value, modified[key])):
                patch[key] = deeper
    return patch
