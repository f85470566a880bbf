"""GET of one object."""

from __future__ import annotations

from typing import Any

from apiserver.handlers._shared import answer
from apiserver.handlers.api import answers_now
from apiserver.http.negotiation import PLAIN, negotiate, seems_human
from apiserver.registry.store import Store
from apiserver.request.message import Request, Response
from apiserver.request.query import parse_revision

FROM_MEMORY = b"resourceVersion=0"


def get_now(request: Request, store: Store[Any]) -> bytes:
    """The object's bytes from memory, for a client that lets them be old and takes them as they are."""
    if request.query_string != FROM_MEMORY:
        return b""
    for name, value in request.headers:
        if (name == b"accept" and negotiate(value) != PLAIN) or (name == b"user-agent" and seems_human(value)):
            return b""
    entry = store.storage.peek(store.resource, store.namespace_of(request.info), request.info.name)
    return entry.value if entry is not None else b""


@answers_now(get_now)
async def get(request: Request, store: Store[Any]) -> Response:
    """Answers with the object's bytes as they are kept; the latest, unless the query says that older will do."""
    request.check_acceptable()
    info = request.info
    revision = parse_revision(request.parameter("resourceVersion")) if request.query_string else None
    entry = await store.read(store.namespace_of(info), info.name, min_revision=revision)
    return answer(request, store.resource, entry.value)
