"""Objects in other shapes that clients ask for: rows of a Table (what `kubectl get` prints) or metadata alone.

Source: Kubernetes API concepts, "Receiving resources as Tables"; `metav1.Table`, `metav1.PartialObjectMetadata`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import orjson

from apimachinery.errors import BadRequest, quote
from apimachinery.meta import Object
from apimachinery.model import decode, encode
from apimachinery.resource import Column, Resource
from apiserver.http.negotiation import TABLE, Representation
from apiserver.storage.interface import Entry, Watcher, WatchEvent
from apiserver.storage.splice import split_owners, with_owners

Include = Literal["Metadata", "None", "Object"]

ROWS_BETWEEN_TURNS = 100  # rows made before other requests get their turn: a row costs about 20 us

_DEFAULT_COLUMNS = (
    Column("Name", lambda obj, now: obj.name, "Name must be unique within a namespace.", format="name"),
    Column("Created At", lambda obj, now: obj.metadata.creationTimestamp, type="date"),
)


def include_object(text: str) -> Include:
    """The query's includeObject; metadata when absent. Raises: BadRequest."""
    if text in ("", "Metadata"):
        return "Metadata"
    if text == "None":
        return "None"
    if text == "Object":
        return "Object"
    why = f"includeObject: Invalid value: {quote(text)}: must be 'Metadata', 'Object', 'None', or empty"
    raise BadRequest(f"Unable to convert to Table as requested: {why}")


class _Encoded(NamedTuple):
    """An encoded object, and what is shown of it; `decoded` is without its managedFields, which are `owners`."""

    value: bytes
    decoded: Object
    owners: bytes

    @classmethod
    def of(cls, resource: Resource[Any], value: bytes) -> _Encoded:
        plain, owners = split_owners(value)
        return cls(value, decode(resource.model, plain), owners)


def transform_object(resource: Resource[Any], value: bytes, representation: Representation, include: Include) -> bytes:
    """One object: a Table of one row, or its metadata."""
    obj = _Encoded.of(resource, value)
    if representation.shape != TABLE:
        return _metadata_of(obj, representation.version)
    revision = (obj.decoded.metadata.resourceVersion or "").encode()
    return _table_head(resource, representation.version, b'"resourceVersion":"%b"' % revision) + b"%b]}" % _row(
        resource, obj, include, representation.version, time.time()
    )


async def transform_list(
    resource: Resource[Any], entries: Sequence[Entry], meta: bytes, representation: Representation, include: Include
) -> AsyncIterator[bytes]:
    """A list in pieces; `meta` is what stands inside the list's `metadata`."""
    now = time.time()
    if representation.shape == TABLE:
        yield _table_head(resource, representation.version, meta)
    else:
        yield b'{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/%b","metadata":{%b},"items":[' % (
            representation.version.encode(),
            meta,
        )
    for start in range(0, len(entries), ROWS_BETWEEN_TURNS):
        piece = []
        for entry in entries[start : start + ROWS_BETWEEN_TURNS]:
            obj = _Encoded.of(resource, entry.value)
            if representation.shape == TABLE:
                piece.append(_row(resource, obj, include, representation.version, now))
            else:
                piece.append(_metadata_of(obj, representation.version))
        yield (b"," if start else b"") + b",".join(piece)
        await asyncio.sleep(0)
    yield b"]}"


async def transform_watch(
    resource: Resource[Any], watcher: Watcher, representation: Representation, include: Include
) -> AsyncIterator[bytes]:
    """A watch's events, each object a Table of one row (the first with the columns) or metadata alone."""
    first = True
    async for events in watcher.events():
        lines = []
        for event in events:
            shaped = _watch_object(resource, event, representation, include, columns=first)
            lines.append(b'{"type":"%b","object":%b}\n' % (event.type.encode(), shaped))
            first = False
        yield b"".join(lines)


def _watch_object(
    resource: Resource[Any], event: WatchEvent, representation: Representation, include: Include, *, columns: bool
) -> bytes:
    obj = _Encoded.of(resource, event.entry.value)
    if representation.shape != TABLE:
        return _metadata_of(obj, representation.version)
    row = _row(resource, obj, include, representation.version, time.time())
    meta = b'"resourceVersion":"%d"' % event.revision
    return _table_head(resource, representation.version, meta, columns=columns) + row + b"]}"


def _table_head(resource: Resource[Any], version: str, meta: bytes, *, columns: bool = True) -> bytes:
    definitions = column_definitions(resource) if columns else b"null"
    return b'{"kind":"Table","apiVersion":"meta.k8s.io/%b","metadata":{%b},"columnDefinitions":%b,"rows":[' % (
        version.encode(),
        meta,
        definitions,
    )


@lru_cache(maxsize=512)
def _definitions(columns: tuple[Column, ...]) -> bytes:
    return orjson.dumps(
        [
            {
                "name": column.name,
                "type": column.type,
                "format": column.format,
                "description": column.description,
                "priority": column.priority,
            }
            for column in columns
        ]
    )


def column_definitions(resource: Resource[Any]) -> bytes:
    return _definitions(resource.columns or _DEFAULT_COLUMNS)


def cells(resource: Resource[Any], obj: Object, now: float) -> list[object]:
    """The row's cells; `now` is Unix seconds, for ages."""
    return [column.value(obj, now) for column in resource.columns or _DEFAULT_COLUMNS]


def _row(resource: Resource[Any], obj: _Encoded, include: Include, version: str, now: float) -> bytes:
    shown = b"null" if include == "None" else obj.value if include == "Object" else _metadata_of(obj, version)
    row = b'{"cells":%b,"object":%b' % (orjson.dumps(cells(resource, obj.decoded, now)), shown)
    conditions = resource.row_conditions(obj.decoded)
    return b'%b,"conditions":%b}' % (row, orjson.dumps(conditions)) if conditions else row + b"}"


def _metadata_of(obj: _Encoded, version: str) -> bytes:
    form = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/%b","metadata":%b}'
    return with_owners(form % (version.encode(), encode(obj.decoded.metadata)), obj.owners)
