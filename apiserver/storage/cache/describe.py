"""Reads labels and selectable fields from encoded objects: the cache knows nothing else of them but their bytes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import orjson

from apimachinery.meta import Object
from apimachinery.model import decode
from apimachinery.resource import Resource
from apimachinery.splice import split_owners
from componentbase import logs

SHARED_SETS = 4096  # distinct label or field sets remembered for sharing; when full, sharing starts afresh

log = logs.logger(__name__)


class Describer:
    """Describes objects of one resource. Equal label sets (of a ReplicaSet's pods) become one dict in memory."""

    def __init__(self, resource: Resource[Any]) -> None:
        self._resource = resource
        self._fields = tuple(resource.fields.items())
        self._shared: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}

    def describe(self, value: bytes, obj: Object | None = None) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Returns (labels, the kind's selectable fields); `obj` is the decoded value, for callers that have it at hand.

        The callables of `Resource.fields` take the model and may rely on its defaults, so a kind that has any is
        decoded (about 10 us); the others are only parsed for their labels. A stored object that no longer fits its
        model is logged and has labels, but no fields.
        """
        if obj is None and self._fields:
            try:
                obj = decode(self._resource.model, split_owners(value)[0])
            except Exception as error:  # whatever a model raises, one object must not stop the cache
                log.error("stored object does not decode", kind=self._resource.kind, error=str(error))
        if obj is None:
            return self._share(_labels(value)), {}
        fields = {path: evaluate(obj) for path, evaluate in self._fields}
        return self._share(obj.metadata.labels or {}), self._share(fields)

    def _share(self, members: dict[str, str]) -> dict[str, str]:
        key = tuple(members.items())
        shared = self._shared.get(key)
        if shared is None:
            if len(self._shared) >= SHARED_SETS:
                self._shared.clear()
            shared = {sys.intern(name): value for name, value in members.items()}
            self._shared[key] = shared
        return shared


def _labels(value: bytes) -> dict[str, str]:
    """Reads the labels of an encoded object. Raises: ValueError for anything else."""
    document = orjson.loads(value)
    metadata = document.get("metadata") if isinstance(document, dict) else None
    if not isinstance(metadata, dict):
        raise ValueError("no metadata")
    return metadata.get("labels") or {}
