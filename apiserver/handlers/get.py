"""GET of one object."""

from __future__ import annotations

from apimachinery.errors import object_not_found
from apiserver.codec import tables
from apiserver.handlers._shared import Target, check_shape
from apiserver.http.negotiation import PLAIN, seems_human, wanted
from apiserver.http.types import Header
from apiserver.main.context import Context
from apiserver.request.info import RequestInfo
from apiserver.request.message import Request, Response
from apiserver.request.query import parse_revision


async def get(context: Context, request: Request, target: Target) -> Response:
    """The object's bytes as they are kept; the latest state unless the query says that older will do."""
    resource, info, shape = target.resource, request.info, request.wanted
    namespace = info.namespace if resource.namespaced else ""
    revision = parse_revision(request.parameter("resourceVersion")) if request.query_string else None
    entry = await target.store.storage.get(resource, namespace, info.name, min_revision=revision)
    if entry is None:
        raise object_not_found(resource.plural, resource.group, info.name)
    if not shape.shape:
        return Response(entry.value)
    check_shape(resource, shape)
    include = tables.include_object(request.parameter("includeObject"))
    return Response(tables.transform_object(resource, entry.value, shape, include))


def get_now(context: Context, headers: list[Header], info: RequestInfo, target: Target) -> bytes:
    """The object's bytes from memory for a client that takes them as they are; b"" leaves it to `get`."""
    for name, value in headers:
        if (name == b"accept" and wanted(value) != PLAIN) or (name == b"user-agent" and seems_human(value)):
            return b""
    resource = target.resource
    entry = target.store.storage.peek(resource, info.namespace if resource.namespaced else "", info.name)
    return entry.value if entry is not None else b""
