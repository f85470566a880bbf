"""PATCH on an object or its status: JSON patch, JSON merge patch, strategic merge patch."""

from __future__ import annotations

from typing import Any

import orjson

from apimachinery.errors import BadRequest, RequestEntityTooLarge, UnsupportedMediaType, invalid, invalid_object
from apimachinery.patch import MAX_JSON_PATCH_OPERATIONS, json_patch, merge_patch, strategic_merge_patch
from apimachinery.resource import Resource
from apiserver.context import Context
from apiserver.decoding import check_fields, decode_object
from apiserver.handlers._shared import Target, answer
from apiserver.messages import Request, Response
from apiserver.query import parse_write_options
from apiserver.storage.interface import Entry

JSON_PATCH = b"application/json-patch+json"
MERGE_PATCH = b"application/merge-patch+json"
STRATEGIC_MERGE_PATCH = b"application/strategic-merge-patch+json"

_SUPPORTED = ", ".join(kind.decode() for kind in (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH))


async def patch(context: Context, request: Request, target: Target) -> Response:
    """200 with the object as stored. The patch is applied again to newer state after a conflict."""
    resource, info = target.resource, request.info
    options = parse_write_options(request.query, "PatchOptions")
    kind = patch_type(request.header(b"content-type"))
    document = parse_patch(kind, await request.body())
    warnings: list[str] = []

    def change(old: Any, entry: Entry) -> Any:
        patched = orjson.dumps(apply_patch(kind, resource, orjson.loads(entry.value), document))
        warnings[:] = check_fields(resource, patched, options.field_validation)
        obj = decode_object(resource, patched)
        _check_identity(resource, obj, entry)
        return obj

    written = await target.store.update(
        info.namespace if resource.namespaced else "",
        info.name,
        change,
        request.user,
        options,
        subresource=info.subresource,
    )
    return answer(request, resource, written, 200, warnings)


def patch_type(content_type: bytes) -> bytes:
    """Raises: UnsupportedMediaType."""
    kind = content_type.partition(b";")[0].strip().lower()
    if kind not in (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH):
        raise UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {_SUPPORTED}"
        )
    return kind


def parse_patch(kind: bytes, body: bytes) -> Any:
    """Raises: BadRequest, RequestEntityTooLarge."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"error decoding patch: invalid JSON: {error}") from None
    wanted = list if kind == JSON_PATCH else dict
    if not isinstance(document, wanted):
        raise BadRequest(
            f"error decoding patch: a {kind.decode()} must be a JSON {'array' if wanted is list else 'object'}"
        )
    if kind == JSON_PATCH and len(document) > MAX_JSON_PATCH_OPERATIONS:
        raise RequestEntityTooLarge(
            f"The allowed maximum operations in a JSON patch is {MAX_JSON_PATCH_OPERATIONS}, got {len(document)}"
        )
    return document


def apply_patch(kind: bytes, resource: Resource[Any], current: Any, document: Any) -> Any:
    """Raises: BadRequest for a malformed patch, Invalid for one that does not apply."""
    if kind == JSON_PATCH:
        return json_patch(current, document)
    if kind == MERGE_PATCH:
        return merge_patch(current, document)
    return strategic_merge_patch(current, document, resource.model)


def _check_identity(resource: Resource[Any], obj: Any, entry: Entry) -> None:
    """A patch may not rename or move. Raises: Invalid."""
    meta = obj.metadata
    errors = []
    if meta.name != entry.name:
        errors.append(invalid("metadata.name", meta.name or "", "field is immutable"))
    if (meta.namespace or "") != entry.namespace:
        errors.append(invalid("metadata.namespace", meta.namespace or "", "field is immutable"))
    if errors:
        raise invalid_object(resource.kind, resource.group, entry.name, errors)
