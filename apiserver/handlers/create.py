"""POST on a collection."""

from __future__ import annotations

from apiserver.context import Context
from apiserver.decoding import check_fields, decode_object
from apiserver.handlers._shared import Target, answer, check_place, json_body
from apiserver.messages import Request, Response
from apiserver.query import parse_write_options


async def create(context: Context, request: Request, target: Target) -> Response:
    """201 with the object as stored."""
    resource, namespace = target.resource, request.info.namespace
    options = parse_write_options(request.query, "CreateOptions")
    body = await json_body(request)
    warnings = check_fields(resource, body, options.field_validation)
    obj = decode_object(resource, body)
    check_place(obj, resource, namespace)
    written = await target.store.create(namespace if resource.namespaced else "", obj, request.user, options)
    warnings += resource.strategy.create_warnings(obj)
    return answer(request, resource, written, 201, warnings)
