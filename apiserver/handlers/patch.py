"""PATCH on an object or a part of it: JSON patch, JSON merge patch, strategic merge patch, and server-side apply."""

from __future__ import annotations

from functools import partial
from typing import Any

from apiserver.auth.authorization.authorizer import Authorizer, check_create
from apiserver.handlers._shared import answer, write_options
from apiserver.registry.apply import Apply, check_config, read_config
from apiserver.registry.changes import Change
from apiserver.registry.patch import APPLY_PATCH, patch_type, read_patch
from apiserver.registry.store import Store
from apiserver.request.message import Request, Response


async def patch(request: Request, store: Store[Any], *, authorizer: Authorizer) -> Response:
    """Answers 200 with the object as stored, 201 for one that an apply has created."""
    resource, info = store.resource, request.info
    kind = patch_type(request.header(b"content-type"))
    options = write_options(request, "PatchOptions", applies=kind == APPLY_PATCH)
    body, namespace = await request.body(), store.namespace_of(info)
    change: Change[Any]
    warnings: list[str] = []
    if kind == APPLY_PATCH:
        config, warnings = read_config(body, options.field_validation)
        check_config(resource, config)
        change = Apply(resource, namespace, info.name, info.subresource, config, options, store.clock.now())
    else:
        change = read_patch(kind, body, resource, info.namespace, info.name, options.field_validation)
    result = await store.update(
        namespace,
        info.name,
        change,
        request.user,
        options,
        subresource=info.subresource,
        check_create=partial(check_create, authorizer, request.user, info),
    )
    status = 201 if result.created else 200
    return answer(request, resource, result.value, status, [*warnings, *result.warnings])
