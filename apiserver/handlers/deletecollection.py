"""DELETE on a collection: each selected object is deleted as a DELETE of its own would."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from apimachinery.errors import NotFound
from apimachinery.meta import DeleteOptions
from apiserver.codec.body import read_body
from apiserver.handlers._shared import check_shape, with_warnings
from apiserver.handlers.list import answer_page, read_page
from apiserver.registry.store import Store
from apiserver.request.message import Answer, Request
from apiserver.request.query import check_fields, parse_delete_options, parse_list_options
from apiserver.storage.interface import Entry, ListPage

PARALLEL_DELETES = 8  # within one request: enough to hide etcd's latency, not enough to crowd out other clients


async def delete_collection(request: Request, store: Store[Any]) -> Answer:
    """Answers 200 with the list of what was there. An object that goes meanwhile is not an error."""
    resource, namespace = store.resource, store.namespace_of(request.info)
    if request.representation.shape:
        check_shape(resource, request.representation, many=True)
    body = await read_body(request)
    listing = replace(parse_list_options(_without_delete_options(request.query)), watch=False)
    check_fields(resource, listing)
    options = parse_delete_options(request.query, body.json)
    warnings = resource.strategy.delete_warnings(options)
    return await with_warnings(
        warnings, _delete_page(request, store, await read_page(store, namespace, listing), options)
    )


async def _delete_page(request: Request, store: Store[Any], page: ListPage, options: DeleteOptions) -> Answer:
    waiting = list(reversed(page.entries))

    async def worker() -> list[Entry]:
        deleted = []
        while waiting:
            entry = waiting.pop()
            try:
                await store.delete(
                    entry.namespace, entry.name, options.model_copy(), request.user, dry_run=bool(options.dryRun)
                )
            except NotFound:
                continue
            deleted.append(entry)
        return deleted

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(PARALLEL_DELETES, len(waiting))):
                group.create_task(worker())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return await answer_page(request, store.resource, ListPage(page.entries, page.revision))


def _without_delete_options(query: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value for key, value in query.items() if key not in ("watch", "gracePeriodSeconds", "propagationPolicy")
    }
