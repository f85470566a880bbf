"""PUT on an object or its status."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from apiserver.auth.authorization.authorizer import Authorizer, check_create
from apiserver.codec.body import check_place, decode_checked, decode_object, read_body
from apiserver.handlers._shared import answer, write_options
from apiserver.registry.changes import Replacement
from apiserver.registry.store import Store
from apiserver.request.message import Request, Response


async def update(request: Request, store: Store[Any], *, authorizer: Authorizer) -> Response:
    """Answers 200 with the object as stored; 201 where the kind lets an update create."""
    resource, info = store.resource, request.info
    options = write_options(request, "UpdateOptions")
    body = await read_body(request)
    obj, warnings = decode_checked(resource, body, options.field_validation)
    check_place(obj, resource, info.namespace, info.name)

    def objects() -> Iterator[Any]:
        """One for each attempt; few writes need a second."""
        yield obj
        while True:
            another = decode_object(resource, body.json)
            check_place(another, resource, info.namespace, info.name)
            yield another

    result = await store.update(
        store.namespace_of(info),
        info.name,
        Replacement(objects().__next__),
        request.user,
        options,
        subresource=info.subresource,
        check_create=partial(check_create, authorizer, request.user, info),
    )
    warnings += result.warnings
    return answer(request, resource, result.value, 201 if result.created else 200, warnings)
