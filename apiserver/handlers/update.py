"""PUT on an object or its status."""

from __future__ import annotations

from typing import Any

from apiserver.codec.body import decode_object, read_object
from apiserver.handlers._shared import Target, answer, check_place, json_body, write_options
from apiserver.main.context import Context
from apiserver.request.message import Request, Response
from apiserver.storage.interface import Entry


async def update(context: Context, request: Request, target: Target) -> Response:
    """200 with the object as stored; 201 where the kind lets an update create."""
    resource, info = target.resource, request.info
    options = write_options(request, "UpdateOptions")
    repeated: list[str] = []
    body = await json_body(request, repeated)
    first, warnings = read_object(resource, body, options.field_validation, repeated)
    check_place(first, resource, info.namespace, info.name)
    unused = [first]

    def fresh() -> Any:
        """The object of the request, untouched by an earlier attempt."""
        if unused:
            return unused.pop()
        obj = decode_object(resource, body)
        check_place(obj, resource, info.namespace, info.name)
        return obj

    def change(old: Any, entry: Entry) -> Any:
        return fresh()

    written = await target.store.update(
        info.namespace if resource.namespaced else "",
        info.name,
        change,
        request.user,
        options,
        subresource=info.subresource,
        create=None if info.subresource else fresh,
    )
    return answer(request, resource, written, 201 if written.created else 200, warnings)
