"""JSON patch, on plain JSON types.

Source: RFC 6902.
"""

from __future__ import annotations

from typing import Any

import orjson

from apimachinery.errors import BadRequest, Invalid

Json = Any

MAX_JSON_PATCH_OPERATIONS = 10_000  # as upstream; more is a 413
MAX_COPIED_BYTES = 3 * 1024 * 1024  # by all `copy` operations of a patch together


def json_patch(doc: Json, operations: Json) -> Json:
    """Applies the operations of RFC 6902; `doc` is not changed.

    As with upstream's library, "replace" adds a member that is missing, a `value` that is missing is null, and an index
    below 0 counts from the end.
    Raises: BadRequest if `operations` is not a list of operations, Invalid if one does not apply to this document.
    """
    if not isinstance(operations, list):
        raise BadRequest("a JSON patch must be an array of operations")
    if not all(isinstance(operation, dict) for operation in operations):
        raise BadRequest("every operation of a JSON patch must be an object")
    return _Patching(doc).run(operations)


class _Patching:
    """A copy of the document, on which the operations are performed in place."""

    def __init__(self, doc: Json) -> None:
        self._root = {"": _copy(doc)}
        self._copied_bytes = 0

    def run(self, operations: list[dict[str, Any]]) -> Json:
        for operation in operations:
            self._apply(operation)
        return self._root.get("")

    def _apply(self, operation: dict[str, Any]) -> None:
        op, path = operation.get("op"), operation.get("path")
        if not isinstance(path, str):
            raise Invalid("a JSON patch operation has no path")
        value = operation.get("value")
        if op in ("add", "replace"):
            self._put(path, _copy(value), replace=op == "replace")
        elif op == "remove":
            self._remove(path)
        elif op == "test":
            if _canonical(self._find(path, missing_is_none=True)) != _canonical(value):
                raise Invalid(f"testing value {path} failed: test failed")
        elif op in ("move", "copy"):
            source = operation.get("from")
            if not isinstance(source, str):
                raise Invalid(f'JSON patch operation "{op}" on "{path}" has no "from"')
            moved = self._find(source)
            if op == "copy":
                moved = self._duplicate(moved)
            else:
                self._remove(source)
            self._put(path, moved)
        else:
            raise Invalid(f'unknown JSON patch operation "{op}"')

    def _duplicate(self, value: Json) -> Json:
        """Copies a value, up to a limit: a few operations could double a value until it fills the memory. Raises:
        Invalid."""
        text = _encode(value)
        self._copied_bytes += len(text)
        if self._copied_bytes > MAX_COPIED_BYTES:
            raise Invalid(f"the JSON patch copies more than {MAX_COPIED_BYTES} bytes")
        return _decode(text)

    def _find(self, path: str, *, missing_is_none: bool = False) -> Json:
        value: Json = self._root
        for part in _pointer(path):
            if isinstance(value, dict) and part in value:
                value = value[part]
            elif isinstance(value, list) and (index := _place(part, len(value))) is not None:
                value = value[index]
            elif missing_is_none:
                return None
            else:
                raise _missing(path)
        return value

    def _box(self, path: str) -> tuple[Json, str]:
        """Returns the container of the value at a path, and its key there."""
        parent, _, _ = path.rpartition("/")
        box = self._find(parent) if path else self._root
        if not isinstance(box, dict | list):
            raise _missing(path)
        return box, _pointer(path)[-1]

    def _put(self, path: str, value: Json, *, replace: bool = False) -> None:
        box, key = self._box(path)
        if isinstance(box, list):
            if replace:
                box[_index(box, key, path)] = value
            else:
                box.insert(_index(box, key, path, end=True), value)
        else:
            box[key] = value

    def _remove(self, path: str) -> None:
        box, key = self._box(path)
        if isinstance(box, list):
            del box[_index(box, key, path)]
        elif key in box:
            del box[key]
        else:
            raise _missing(path)


def _pointer(path: str) -> list[str]:
    """Returns the keys from the root's holder on: "/a/b" -> ["", "a", "b"]."""
    if path and not path.startswith("/"):
        raise Invalid(f'JSON pointer "{path}" must start with "/"')
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]


def _missing(path: str) -> Invalid:
    return Invalid(f'the JSON patch does not apply: "{path}" does not exist')


def _place(key: str, places: int) -> int | None:
    """Returns the index of the item that a key names in a list of so many; "-1" is the last. None if there is none."""
    digits = key.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        return None
    index = places + int(key) if key.startswith("-") else int(key)
    return index if 0 <= index < places else None


def _index(box: list[Any], key: str, path: str, *, end: bool = False) -> int:
    if key == "-" and end:
        return len(box)
    index = _place(key, len(box) + end)
    if index is None:
        raise _missing(path)
    return index


def _copy(value: Json) -> Json:
    return _decode(_encode(value)) if isinstance(value, dict | list) else value


def _canonical(value: Json) -> bytes:
    """Encodes equal JSON equally. Python would take `1` and `true` for equal."""
    return _encode(value, sort=True)


def _encode(value: Json, *, sort: bool = False) -> bytes:
    """Raises: Invalid for what is nested too deeply."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort else None)
    except TypeError as error:
        raise Invalid(f"the JSON patch makes no JSON: {error}") from None


def _decode(text: bytes) -> Json:
    return orjson.loads(text)
