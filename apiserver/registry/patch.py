"""JSON patch, JSON merge patch and strategic merge patch, as values that the store applies to an object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from apimachinery.errors import BadRequest, Invalid, RequestEntityTooLarge, UnsupportedMediaType, invalid
from apimachinery.patch.json import MAX_JSON_PATCH_OPERATIONS, json_patch
from apimachinery.patch.merge import merge_patch
from apimachinery.patch.strategic import strategic_merge_patch
from apimachinery.resource import Resource
from apiserver.codec.body import Body, StrictDecoding, check_place, decode_checked
from apiserver.codec.fieldvalidation import duplicate_fields, may_repeat_fields
from apiserver.registry.changes import Changed

JSON_PATCH = b"application/json-patch+json"
MERGE_PATCH = b"application/merge-patch+json"
STRATEGIC_MERGE_PATCH = b"application/strategic-merge-patch+json"
APPLY_PATCH = b"application/apply-patch+yaml"

PATCH_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH)
_OF_CUSTOM = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
UNKNOWN_FORMAT = "the body of the request was in an unknown format - accepted media types include: "
REJECTED = "the server rejected our request due to an error in our request"


@dataclass(frozen=True, slots=True)
class Patch:
    """`kind` is the patch's media type, `document` its JSON."""

    kind: bytes
    document: Any
    resource: Resource[Any]
    namespace: str
    name: str
    validation: str
    """The request's `fieldValidation`."""
    repeated: tuple[str, ...]
    """Warnings about fields that the patch has twice."""
    reads_owners: bool

    def apply(self, old: Any, value: bytes) -> Changed[Any]:
        """Raises: BadRequest for a malformed patch, Invalid for one that does not apply, whose result can't be read, or
        that "Strict" does not let pass."""
        current = orjson.loads(value)
        patched = self._encode(self._merge(current))
        try:
            obj, unknown = decode_checked(self.resource, Body(patched, repeated=()), self.validation)
        except StrictDecoding as error:
            raise self._strict_error(patched, [*self.repeated, *error.warnings]) from None
        except BadRequest as error:
            raise self._invalid(patched, error.message) from None
        if self.repeated and self.validation == "Strict":
            raise self._strict_error(patched, self.repeated)
        check_place(obj, self.resource, self.namespace, self.name)
        return Changed(obj, (*self.repeated, *unknown))

    def create(self) -> None:
        """A patch needs an object."""

    def _merge(self, current: Any) -> Any:
        if self.kind == JSON_PATCH:
            try:
                return json_patch(current, self.document)
            except Invalid:
                raise Invalid(REJECTED, {}) from None
        if self.kind == MERGE_PATCH:
            return merge_patch(current, self.document)
        return strategic_merge_patch(current, self.document, self.resource.model)

    def _strict_error(self, patched: bytes, warnings: Sequence[str]) -> Invalid:
        return self._invalid(patched, f"strict decoding error: {', '.join(warnings)}")

    def _invalid(self, patched: bytes, why: str) -> Invalid:
        """Shows a strategic merge patch itself, as the fault must be in it; otherwise what the patch has made."""
        shown = self._encode(self.document) if self.kind == STRATEGIC_MERGE_PATCH else patched
        cause = invalid("patch", shown.decode(), why)
        return Invalid(f' "" is invalid: {cause}', {}, [cause])

    def _encode(self, document: Any) -> bytes:
        try:
            return orjson.dumps(document)
        except TypeError as error:  # nested too deeply
            raise BadRequest(f"error decoding patch: the patched object is not JSON: {error}") from None


def read_patch(kind: bytes, body: bytes, resource: Resource[Any], namespace: str, name: str, validation: str) -> Patch:
    """The patch of a request's body. Raises: BadRequest, RequestEntityTooLarge."""
    if kind == STRATEGIC_MERGE_PATCH and resource.schema is not None:
        raise UnsupportedMediaType(f"{UNKNOWN_FORMAT}{', '.join(item.decode() for item in _OF_CUSTOM)}")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"error decoding patch: invalid JSON: {error}") from None
    expected = list if kind == JSON_PATCH else dict
    if not isinstance(document, expected):
        raise BadRequest(
            f"error decoding patch: a {kind.decode()} must be a JSON {'array' if expected is list else 'object'}"
        )
    if kind == JSON_PATCH and len(document) > MAX_JSON_PATCH_OPERATIONS:
        raise RequestEntityTooLarge(
            "Request entity too large: The allowed maximum operations in a JSON patch is "
            f"{MAX_JSON_PATCH_OPERATIONS}, got {len(document)}"
        )
    repeated = duplicate_fields(body) if validation != "Ignore" and may_repeat_fields(body) else ()
    reads_owners = kind == JSON_PATCH or b"managedFields" in body
    return Patch(kind, document, resource, namespace, name, validation, tuple(repeated), reads_owners)


def patch_type(content_type: bytes) -> bytes:
    """Raises: UnsupportedMediaType, without a list of what is supported, as upstream."""
    kind = content_type.partition(b";")[0].strip().lower()
    if kind not in PATCH_TYPES:
        raise UnsupportedMediaType("415: Unsupported Media Type", {})
    return kind
