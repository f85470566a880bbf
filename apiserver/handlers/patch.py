"""PATCH on an object or a part of it: JSON patch, JSON merge patch, strategic merge patch, and server-side apply."""

from __future__ import annotations

from typing import Any

import orjson

from apimachinery.errors import BadRequest, Invalid, RequestEntityTooLarge, UnsupportedMediaType, invalid
from apimachinery.patch.json import MAX_JSON_PATCH_OPERATIONS, json_patch
from apimachinery.patch.merge import merge_patch
from apimachinery.patch.strategic import strategic_merge_patch
from apimachinery.resource import Resource
from apiserver.codec.body import StrictDecoding, read_object
from apiserver.codec.fieldvalidation import duplicate_fields, may_repeat_fields
from apiserver.handlers._shared import Target, answer, check_place, write_options
from apiserver.main.context import Context
from apiserver.request.message import Request, Response
from apiserver.storage.interface import Entry

JSON_PATCH = b"application/json-patch+json"
MERGE_PATCH = b"application/merge-patch+json"
STRATEGIC_MERGE_PATCH = b"application/strategic-merge-patch+json"
APPLY_PATCH = b"application/apply-patch+yaml"

PATCH_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH)
REJECTED = "the server rejected our request due to an error in our request"

_SUPPORTED = ", ".join(kind.decode() for kind in PATCH_TYPES)


async def patch(context: Context, request: Request, target: Target) -> Response:
    """200 with the object as stored, 201 for one that an apply has made. The patch is applied again to newer state
    after a conflict."""
    resource, info = target.resource, request.info
    kind = patch_type(request.header(b"content-type"))
    if kind == APPLY_PATCH:
        from apiserver.handlers._apply import apply

        return await apply(request, target)
    options = write_options(request, "PatchOptions")
    body = await request.body()
    document = parse_patch(kind, body)
    repeated = repeated_fields(body, options.field_validation)
    owners_matter = kind == JSON_PATCH or b"managedFields" in body
    warnings: list[str] = []

    def change(old: Any, entry: Entry) -> Any:
        current = orjson.loads(entry.value)
        if not owners_matter:
            current["metadata"].pop("managedFields", None)  # who owns what is half of many objects
        patched = encoded(apply_patch(kind, resource, current, document))
        obj, found = read_patched(resource, patched, repeated, options.field_validation)
        warnings[:] = found
        check_place(obj, resource, info.namespace, info.name)
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
    if kind not in PATCH_TYPES:
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
            "Request entity too large: The allowed maximum operations in a JSON patch is "
            f"{MAX_JSON_PATCH_OPERATIONS}, got {len(document)}"
        )
    return document


def apply_patch(kind: bytes, resource: Resource[Any], current: Any, document: Any) -> Any:
    """Raises: BadRequest for a malformed patch, Invalid for one that does not apply."""
    if kind == JSON_PATCH:
        try:
            return json_patch(current, document)
        except Invalid:
            raise Invalid(REJECTED, {}) from None
    if kind == MERGE_PATCH:
        return merge_patch(current, document)
    return strategic_merge_patch(current, document, resource.model)


def encoded(document: Any) -> bytes:
    """The patched object as JSON. Raises: BadRequest for one that is nested too deeply."""
    try:
        return orjson.dumps(document)
    except TypeError as error:
        raise BadRequest(f"error decoding patch: the patched object is no JSON: {error}") from None


def repeated_fields(body: bytes, validation: str) -> list[str]:
    """Warnings about what a patch says twice; "Ignore" does not look."""
    return duplicate_fields(body) if validation != "Ignore" and may_repeat_fields(body) else []


def read_patched(
    resource: Resource[Any], patched: bytes, repeated: list[str], validation: str
) -> tuple[Any, list[str]]:
    """The patched object, and warnings. Raises: BadRequest; Invalid for what "Strict" does not let pass."""
    try:
        obj, unknown = read_object(resource, patched, validation)
    except StrictDecoding as error:
        raise _strict_error(patched, repeated + error.found) from None
    if repeated and validation == "Strict":
        raise _strict_error(patched, repeated)
    return obj, repeated + unknown


def _strict_error(patched: bytes, found: list[str]) -> Invalid:
    cause = invalid("patch", patched.decode(), f"strict decoding error: {', '.join(found)}")
    return Invalid(f' "" is invalid: {cause}', {}, [cause])
