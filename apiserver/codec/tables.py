"""Objects in other shapes that clients ask for: rows of a Table (what `kubectl get` prints) or metadata alone.

Source: Kubernetes API concepts, "Receiving resources as Tables"; `metav1.Table`, `metav1.PartialObjectMetadata`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from typing import Any, Literal

import orjson

from apimachinery.errors import BadRequest, quote
from apimachinery.meta import Object
from apimachinery.model import decode
from apimachinery.resource import Column, Resource
from apimachinery.splice import split_owners, with_owners
from apiserver.http.negotiation import TABLE, Representation
from apiserver.storage.interface import Entry, Watcher, WatchEvent

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


def transform_object(resource: Resource[Any], value: bytes, representation: Representation, include: Include) -> bytes:
    """One object: a Table of one row, or its metadata."""
    if representation.shape != TABLE:
        return _metadata_of(value, representation.version)
    revision, row = _row(resource, value, include, representation.version, time.time())
    return _table_head(resource, representation.version, b'"resourceVersion":"%b"' % revision) + b"%b]}" % row


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
            if representation.shape == TABLE:
                piece.append(_row(resource, entry.value, include, representation.version, now)[1])
            else:
                piece.append(_metadata_of(entry.value, representation.version))
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
    value = event.entry.value
    if representation.shape != TABLE:
        return _metadata_of(value, representation.version)
    _, row = _row(resource, value, include, representation.version, time.time())
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


def _row(resource: Resource[Any], value: bytes, include: Include, version: str, now: float) -> tuple[bytes, bytes]:
    """Returns the revision of an encoded object, and its row."""
    obj = decode(resource.model, split_owners(value)[0])
    shown = b"null" if include == "None" else value if include == "Object" else _metadata_of(value, version)
    row = b'{"cells":%b,"object":%b' % (orjson.dumps(cells(resource, obj, now)), shown)
    conditions = resource.row_conditions(obj)
    end = b',"conditions":%b}' % orjson.dumps(conditions) if conditions else b"}"
    return (obj.metadata.resourceVersion or "").encode(), row + end


def _metadata_of(value: bytes, version: str) -> bytes:
    """Takes the metadata out of an encoded object as they are, without a model: for watches of many objects."""
    plain, owners = split_owners(value)
    form = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/%b","metadata":%b}'
    return with_owners(form % (version.encode(), orjson.dumps(orjson.loads(plain)["metadata"])), owners)
