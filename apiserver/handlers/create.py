"""POST on a collection."""

from __future__ import annotations

from apiserver.codec.body import read_object
from apiserver.handlers._shared import Target, answer, check_place, json_body, write_options
from apiserver.main.context import Context
from apiserver.request.message import Request, Response


async def create(context: Context, request: Request, target: Target) -> Response:
    """201 with the object as stored."""
    resource, namespace = target.resource, request.info.namespace
    options = write_options(request, "CreateOptions")
    repeated: list[str] = []
    body = await json_body(request, repeated)
    obj, warnings = read_object(resource, body, options.field_validation, repeated)
    check_place(obj, resource, namespace)
    written = await target.store.create(namespace if resource.namespaced else "", obj, request.user, options)
    warnings += resource.strategy.create_warnings(obj)
    return answer(request, resource, written, 201, warnings)
