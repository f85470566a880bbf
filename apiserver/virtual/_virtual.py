"""What answers for a kind without storage, and what those that answer questions share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from apimachinery.errors import invalid_object
from apimachinery.model import encode
from apiserver.codec.body import read_object
from apiserver.handlers._shared import Target, answer, check_place, json_body, write_options
from apiserver.main.context import Context
from apiserver.registry.store import Written
from apiserver.request.message import Request, Response
from apiserver.subresources._subresource import Handler


@dataclass(frozen=True)
class Virtual:
    group: str
    handlers: Mapping[str, Mapping[str, Handler]]
    """Plural -> verb -> handler."""


Fill = Callable[[Context, Request, Any], None]
"""Writes the answer into the object's status. Raises: StatusError."""


def review(fill: Fill) -> Mapping[str, Handler]:
    """The handlers of a kind that is a question: a POST answers it."""

    async def create(context: Context, request: Request, target: Target) -> Response:
        """201 with the question and its answer."""
        resource, namespace = target.resource, request.info.namespace
        options = write_options(request, "CreateOptions")
        repeated: list[str] = []
        body = await json_body(request, repeated)
        obj, warnings = read_object(resource, body, options.field_validation, repeated)
        check_place(obj, resource, namespace)
        if errors := resource.strategy.validate_create(obj):
            raise invalid_object(resource.kind, resource.group, obj.name, errors)
        fill(context, request, obj)
        return answer(request, resource, Written(encode(obj), created=True), 201, warnings)

    return {"create": create}
