"""GET on a collection with `watch`: streams newline-delimited events until its time is over."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import orjson

from apimachinery.errors import Expired, StatusError
from apiserver.codec import tables
from apiserver.handlers._shared import Target, revision_too_large
from apiserver.http.negotiation import check_stream
from apiserver.main.context import Context
from apiserver.request.message import Request, Stream
from apiserver.request.query import ListOptions, check_fields
from apiserver.storage.interface import Compacted, RevisionTooLarge

MAX_WATCH_SECONDS = 365 * 86_400.0  # what a client asks for beyond that is as good as for ever
MIN_WATCH_SECONDS = 1800.0  # a watch without timeoutSeconds lasts once to twice this: not all end at the same time


async def watch(context: Context, request: Request, target: Target, options: ListOptions) -> Stream:
    """What is wrong with the request is the answer's status; a revision that can't be served is the only event."""
    resource = target.resource
    check_fields(resource, options)
    wanted = request.wanted
    check_stream(wanted)
    include = tables.include_object(request.parameter("includeObject"))
    seconds = options.timeout_seconds or random.uniform(MIN_WATCH_SECONDS, 2 * MIN_WATCH_SECONDS)
    try:
        watcher = await target.store.storage.watch(
            resource,
            request.info.namespace if resource.namespaced else "",
            labels=options.labels,
            fields=options.fields,
            revision=options.revision,
            bookmarks=options.bookmarks,
            initial_events=options.initial_events,
            timeout_seconds=min(seconds, MAX_WATCH_SECONDS),
        )
    except Compacted as error:
        return Stream(_only(Expired(str(error))))
    except RevisionTooLarge as error:
        return Stream(_only(revision_too_large(error)))
    chunks = tables.transform_watch(resource, watcher, wanted, include) if wanted.shape else watcher
    return Stream(chunks, close=watcher.close, long_running=True)


async def _only(error: StatusError) -> AsyncIterator[bytes]:
    yield b'{"type":"ERROR","object":%b}\n' % orjson.dumps(error.to_status())
