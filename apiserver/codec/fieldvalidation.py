"""Finds fields that a body repeats: for `fieldValidation=Strict` and `Warn`.

Source: Kubernetes API concepts, "Validation for unrecognized or duplicate fields".
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from apimachinery.unknownfields import MAX_REPORTED


def may_repeat_fields(body: bytes) -> bool:
    """Returns False only if no object in the JSON has a key twice: then parsing keeps the number of keys.

    Keys are counted by the quote and colon behind them. Other spellings count as a possible repetition.
    """
    try:
        once = orjson.dumps(orjson.loads(body))
    except TypeError:
        return True  # nested too deeply to be written again
    if once == body.strip():  # as Go writes it
        return False
    unusual = b" :" in body or b"\n:" in body or b"\t:" in body or b"\r:" in body or b"\\u00" in body
    return unusual or body.count(b'":') != once.count(b'":')


def duplicate_fields(body: bytes) -> list[str]:
    """`duplicate field "spec.replicas"`, for each repeated field. The last value counts, as in every JSON decoder."""
    paths: list[str] = []

    def build(pairs: list[tuple[str, Any]]) -> Any:
        result = dict(pairs)
        if len(result) != len(pairs):
            keys: set[str] = set()
            repeated = {key for key, _ in pairs if key in keys or keys.add(key)}  # type: ignore[func-returns-value]
            return _WithDuplicates(result, repeated)
        return result

    document = json.loads(body, object_pairs_hook=build)
    _collect(document, "", paths)
    return [f'duplicate field "{path}"' for path in paths[:MAX_REPORTED]]


class _WithDuplicates(dict[str, Any]):
    def __init__(self, items: dict[str, Any], twice: set[str]) -> None:
        super().__init__(items)
        self.twice = twice


def _collect(value: Any, path: str, paths: list[str]) -> None:
    if isinstance(value, dict):
        if isinstance(value, _WithDuplicates):
            paths.extend(sorted(f"{path}.{key}" if path else key for key in value.twice))
        for key, item in value.items():
            _collect(item, f"{path}.{key}" if path else key, paths)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _collect(item, f"{path}[{index}]", paths)
