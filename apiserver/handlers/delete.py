"""DELETE of one object."""

from __future__ import annotations

from typing import Any

from apimachinery.meta import DeleteOptions
from apiserver.codec.body import read_body
from apiserver.handlers._shared import answer, with_warnings
from apiserver.registry.deletion import success
from apiserver.registry.store import Store
from apiserver.request.message import Answer, Request, json_response
from apiserver.request.query import parse_delete_options


async def delete(request: Request, store: Store[Any]) -> Answer:
    """Answers 200 with the Status of the deletion or the object; 202 with the object while the deletion of dependents
    that `orphanDependents` asks for is under way."""
    request.check_acceptable()
    options = parse_delete_options(request.query, (await read_body(request)).json)
    return await with_warnings(store.resource.strategy.delete_warnings(options), _delete(request, store, options))


async def _delete(request: Request, store: Store[Any], options: DeleteOptions) -> Answer:
    resource, info = store.resource, request.info
    result = await store.delete(
        store.namespace_of(info), info.name, options, request.user, dry_run=bool(options.dryRun)
    )
    if result.removed and not resource.returned_on_delete:
        return json_response(success(resource, info.name, result.uid))
    cascades = options.orphanDependents is False and not result.removed
    return answer(request, resource, result.value, 202 if cascades else 200)
