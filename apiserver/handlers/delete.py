"""DELETE of one object."""

from __future__ import annotations

from typing import Any

from apiserver.codec.body import read_body
from apiserver.handlers._shared import answer
from apiserver.registry.deletion import success
from apiserver.registry.store import Store
from apiserver.request.message import Request, Response, json_response
from apiserver.request.query import parse_delete_options


async def delete(request: Request, store: Store[Any]) -> Response:
    """Answers 200 with the Status of the deletion or the object; 202 with the object while the deletion of dependents
    that `orphanDependents` asks for is under way."""
    resource, info = store.resource, request.info
    request.check_acceptable()
    options = parse_delete_options(request.query, (await read_body(request)).json)
    result = await store.delete(
        store.namespace_of(info), info.name, options, request.user, dry_run=bool(options.dryRun)
    )
    if result.removed and not resource.returned_on_delete:
        return json_response(success(resource, info.name, result.uid))
    cascades = options.orphanDependents is False and not result.removed
    return answer(request, resource, result.value, 202 if cascades else 200)
