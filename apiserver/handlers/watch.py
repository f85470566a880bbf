"""GET on a collection with `watch`: streams events, one a line or a WebSocket's message, until its time is over."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson

from apimachinery.errors import BadRequest, Expired, StatusError
from apimachinery.selectors import FieldSelector
from apiserver.codec import tables
from apiserver.handlers._shared import revision_too_large
from apiserver.http.negotiation import check_stream
from apiserver.proxy.websocket import as_events
from apiserver.registry.store import Store
from apiserver.request.message import Answer, Request, Stream
from apiserver.request.query import ListOptions, check_fields, parse_list_options
from apiserver.storage.interface import Compacted, RevisionTooLarge

MAX_WATCH_SECONDS = 365 * 86_400.0  # what a client asks for beyond that is as good as for ever
MIN_WATCH_SECONDS = 1800.0  # a watch without timeoutSeconds lasts once to twice this: not all end at the same time


async def watch(request: Request, store: Store[Any]) -> Answer:
    """Answers with events as they come. A revision that can't be served is told by the only event."""
    resource = store.resource
    options = _with_name(parse_list_options(request.query), request.info.name)
    check_fields(resource, options)
    representation = request.representation
    check_stream(representation)
    include = tables.include_object(request.parameter("includeObject"))
    seconds = options.timeout_seconds or random.uniform(MIN_WATCH_SECONDS, 2 * MIN_WATCH_SECONDS)
    try:
        watcher = await store.storage.watch(
            resource,
            store.namespace_of(request.info),
            labels=options.labels,
            fields=options.fields,
            revision=options.revision,
            bookmarks=options.bookmarks,
            initial_events=options.initial_events,
            timeout_seconds=min(seconds, MAX_WATCH_SECONDS),
        )
    except Compacted as error:
        return await as_events(request, Stream(_only(Expired(str(error)))))
    except RevisionTooLarge as error:
        return await as_events(request, Stream(_only(revision_too_large(error))))
    chunks = tables.transform_watch(resource, watcher, representation, include) if representation.shape else watcher
    return await as_events(request, Stream(chunks, close=watcher.close))


def _with_name(options: ListOptions, name: str) -> ListOptions:
    """Adds what the old path /api/v1/watch/…/NAME asks for: a field selector on the name. Raises: BadRequest."""
    if not name:
        return options
    if options.fields is None:
        return replace(options, fields=FieldSelector((("metadata.name", "=", name),)))
    if options.fields.exact("metadata.name") != name:
        raise BadRequest("fieldSelector metadata.name doesn't match requested name")
    return options


async def _only(error: StatusError) -> AsyncIterator[bytes]:
    yield b'{"type":"ERROR","object":%b}\n' % orjson.dumps(error.to_status())
