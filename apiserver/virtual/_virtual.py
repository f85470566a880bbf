"""Answers for kinds without storage."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from apimachinery.errors import invalid_object
from apimachinery.model import encode
from apimachinery.times import format_time
from apiserver.handlers._shared import receive, warning_headers
from apiserver.handlers.api import Handler
from apiserver.managedfields import tracking
from apiserver.registry.store import Store
from apiserver.request.message import Request, Response

ANY_RESOURCE = "*"


@dataclass(frozen=True)
class Virtual:
    group: str
    handlers: Mapping[str, Mapping[str, Handler]]
    """Plural -> verb -> handler. ANY_RESOURCE answers for every resource and subresource of the group, in namespaces,
    that is not served otherwise: such a group's resources are not known beforehand."""


def review(fill: Callable[..., Awaitable[None] | None]) -> Mapping[str, Handler]:
    """The handlers of a kind that is a question: a POST answers it.

    `fill(request, obj, *, SERVICE…)` writes the answer into the object's status, at once or as a coroutine; it may
    raise a StatusError.
    """

    @functools.wraps(fill)  # its services are asked for in its name
    async def create(request: Request, store: Store[Any], **services: Any) -> Response:
        """Answers 201 with the question, whose fields its sender owns, and its answer."""
        request.refuse_transformed()
        resource = store.resource
        obj, options, warnings = await receive(request, resource, "CreateOptions")
        if errors := resource.strategy.validate_create(obj):
            raise invalid_object("", resource.group, obj.name, errors)  # upstream leaves the kind of a review out
        tracking.own(obj, resource, options, format_time(int(store.clock.now())))
        if (filling := fill(request, obj, **services)) is not None:
            await filling
        return Response(encode(obj), 201, headers=warning_headers(warnings))

    return {"create": create}
