"""Finds fields that a body repeats: for `fieldValidation=Strict` and `Warn`.

Source: Kubernetes API concepts, "Validation for unrecognized or duplicate fields".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

import orjson

from apimachinery.fields.unknownfields import MAX_REPORTED


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
    return field_faults(body, ())


def field_faults(body: bytes, unknown: Iterable[str]) -> list[str]:
    """Tells what is repeated, and what is unknown according to `unknown_fields`, in the order of the body."""
    places: dict[str, int] = {}
    repeated: dict[str, int] = {}
    _note(json.loads(body, object_pairs_hook=_Pairs), "", places, repeated)
    faults = [(place, f'duplicate field "{path}"') for path, place in repeated.items()]
    faults += [(places.get(text.split('"', 1)[1][:-1], 0), text) for text in unknown]
    return [text for _, text in sorted(faults, key=itemgetter(0))][:MAX_REPORTED]


class _Pairs(list[tuple[str, Any]]):
    """The members of an object."""


def _note(value: Any, path: str, places: dict[str, int], repeated: dict[str, int]) -> None:
    """Numbers the fields in the order of the body; a repeated one by where it is repeated first."""
    if isinstance(value, _Pairs):
        keys: set[str] = set()
        for key, item in value:
            where = f"{path}.{key}" if path else key
            number = len(places) + len(repeated)
            (repeated if key in keys else places).setdefault(where, number)
            keys.add(key)
            _note(item, where, places, repeated)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _note(item, f"{path}[{index}]", places, repeated)
