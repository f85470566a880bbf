"""JSON patch and JSON merge patch, on plain JSON types. Strategic merge patch is in `strategic.py`.

Source: RFC 6902, RFC 7386.
"""

from __future__ import annotations

from typing import Any

from apimachinery.errors import BadRequest, Invalid
from apimachinery.strategic import strategic_merge_patch, three_way_strategic

Json = Any

MAX_JSON_PATCH_OPERATIONS = 10_000  # as upstream; more is a 413


def merge_patch(doc: Json, patch: Json) -> Json:
    """RFC 7386; neither argument is changed, untouched parts are shared."""
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
    """The merge patch that turns object `old` into `new`."""
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
    """The merge patch of `kubectl apply` for kinds without a model: what `modified` sets on top of `current`, and
    what `original` (the last applied) had and `modified` lacks goes."""
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


def json_patch(doc: Json, operations: Json) -> Json:
    """RFC 6902; `doc` is not changed.

    Raises: BadRequest for operations that are malformed, Invalid for one that does not apply to this document.
    """
    if not isinstance(operations, list):
        raise BadRequest("a JSON patch must be an array of operations")
    for operation in operations:
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise BadRequest('every JSON patch operation must be an object with "op" and "path"')
        doc = _apply(doc, operation)
    return doc


def _apply(doc: Json, operation: dict[str, Any]) -> Json:
    op, path = operation.get("op"), operation["path"]
    parts = _pointer(path)
    if op in ("add", "replace", "test") and "value" not in operation:
        raise BadRequest(f'JSON patch operation "{op}" on "{path}" has no value')
    if op == "add":
        return _edit(doc, parts, path, lambda box, key: _add(box, key, operation["value"], path))
    if op == "replace":
        return _edit(doc, parts, path, lambda box, key: _replace(box, key, operation["value"], path))
    if op == "remove":
        return _edit(doc, parts, path, lambda box, key: _remove(box, key, path))
    if op == "test":
        if _lookup(doc, parts, path, missing_is_none=True) != operation["value"]:
            raise Invalid(f"testing value {path} failed: test failed")
        return doc
    if op in ("move", "copy"):
        source = operation.get("from")
        if not isinstance(source, str):
            raise BadRequest(f'JSON patch operation "{op}" on "{path}" has no "from"')
        value = _lookup(doc, _pointer(source), source)
        if op == "move":
            doc = _edit(doc, _pointer(source), source, lambda box, key: _remove(box, key, source))
        return _edit(doc, parts, path, lambda box, key: _add(box, key, value, path))
    raise BadRequest(f'unknown JSON patch operation "{op}"')


def _pointer(path: str) -> list[str]:
    if path == "":
        return []
    if not path.startswith("/"):
        raise BadRequest(f'JSON pointer "{path}" must start with "/"')
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def _missing(path: str) -> Invalid:
    return Invalid(f'the JSON patch does not apply: "{path}" does not exist')


def _index(box: list[Any], key: str, path: str, *, end: bool = False) -> int:
    if key == "-" and end:
        return len(box)
    if not key.isdigit() or int(key) >= len(box) + end:
        raise _missing(path)
    return int(key)


def _lookup(doc: Json, parts: list[str], path: str, *, missing_is_none: bool = False) -> Json:
    for part in parts:
        if isinstance(doc, dict) and part in doc:
            doc = doc[part]
        elif isinstance(doc, list) and part.isdigit() and int(part) < len(doc):
            doc = doc[int(part)]
        elif missing_is_none:
            return None
        else:
            raise _missing(path)
    return doc


def _edit(doc: Json, parts: list[str], path: str, change: Any) -> Json:
    """Copies along the path, so that the caller's document stays as it was."""
    if not parts:
        holder = {"": doc}
        change(holder, "")
        return holder.get("")
    if len(parts) > 1:
        inner = _edit(_lookup(doc, parts[:1], path), parts[1:], path, change)
        copy = doc.copy()
        copy[int(parts[0]) if isinstance(copy, list) else parts[0]] = inner
        return copy
    if not isinstance(doc, dict | list):
        raise _missing(path)
    copy = doc.copy()
    change(copy, parts[0])
    return copy


def _add(box: Json, key: str, value: Json, path: str) -> None:
    if isinstance(box, list):
        box.insert(_index(box, key, path, end=True), value)
    else:
        box[key] = value


def _replace(box: Json, key: str, value: Json, path: str) -> None:
    if isinstance(box, list):
        box[_index(box, key, path)] = value
    elif key in box:
        box[key] = value
    else:
        raise _missing(path)


def _remove(box: Json, key: str, path: str) -> None:
    if isinstance(box, list):
        del box[_index(box, key, path)]
    elif key in box:
        del box[key]
    else:
        raise _missing(path)


__all__ = [
    "MAX_JSON_PATCH_OPERATIONS", "create_merge_patch", "json_patch", "merge_patch", "strategic_merge_patch",
    "three_way_merge", "three_way_strategic",
]  # fmt: skip
