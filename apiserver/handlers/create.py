"""POST on a collection."""

from __future__ import annotations

from typing import Any

from apiserver.handlers._shared import answer, receive
from apiserver.http.negotiation import body_format
from apiserver.registry.store import Store
from apiserver.request.message import Request, Response


async def create(request: Request, store: Store[Any]) -> Response:
    """Answers 201 with the object as stored."""
    resource = store.resource
    obj, options, warnings = await receive(request, resource, "CreateOptions")
    body = await request.body() if body_format(request.header(b"content-type")) == "json" else b""
    result = await store.create(store.namespace_of(request.info), obj, request.user, options, body=body)
    return answer(request, resource, result.value, 201, [*warnings, *result.warnings])
