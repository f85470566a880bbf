"""DELETE of one object."""

from __future__ import annotations

from typing import Any

from apimachinery.meta import DeleteOptions
from apiserver.codec.body import read_body
from apiserver.handlers._shared import answer
from apiserver.registry.deletion import success
from apiserver.registry.store import Store
from apiserver.request.message import Request, Response, json_response
from apiserver.request.query import parse_delete_options


async def delete(request: Request, store: Store[Any]) -> Response:
    """Answers 200 with the Status of the deletion or the object; 202 with the object while a requested cascade is
    under way."""
    resource, info = store.resource, request.info
    request.check_acceptable()
    options = parse_delete_options(request.query, (await read_body(request)).json)
    result = await store.delete(
        store.namespace_of(info), info.name, options, request.user, dry_run=bool(options.dryRun)
    )
    if result.removed and not resource.returned_on_delete:
        return json_response(success(resource, info.name, result.uid))
    return answer(request, resource, result.value, 202 if not result.removed and _cascades(options) else 200)


def _cascades(options: DeleteOptions) -> bool:
    return options.propagationPolicy == "Foreground" or options.orphanDependents is False
