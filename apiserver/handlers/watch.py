"""GET on a collection with `watch`: streams newline-delimited events until its time is over."""

from __future__ import annotations

import random

from apiserver import negotiation, tables
from apiserver.context import Context
from apiserver.handlers._shared import Target
from apiserver.messages import Request, Stream
from apiserver.query import ListOptions, check_fields

MIN_WATCH_SECONDS = 1800.0  # a watch without timeoutSeconds lasts once to twice this: not all end at the same time


async def watch(context: Context, request: Request, target: Target, options: ListOptions) -> Stream:
    """The watcher is made before the answer begins: a revision that is gone is a 410, not an empty stream."""
    resource = target.resource
    check_fields(resource, options)
    wanted = negotiation.wanted(request.header(b"accept"))
    include = tables.include_object(request.parameter("includeObject"))
    seconds = options.timeout_seconds or random.uniform(MIN_WATCH_SECONDS, 2 * MIN_WATCH_SECONDS)
    watcher = await target.store.storage.watch(
        resource,
        request.info.namespace if resource.namespaced else "",
        labels=options.labels,
        fields=options.fields,
        revision=options.revision,
        bookmarks=options.bookmarks,
        initial_events=options.initial_events,
        timeout_seconds=seconds,
    )
    chunks = tables.transform_watch(resource, watcher, wanted, include) if wanted.shape else watcher
    return Stream(chunks, close=watcher.close, long_running=True)
