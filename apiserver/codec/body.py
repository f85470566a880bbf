"""The one door for request bodies: JSON, YAML or protobuf -> an object of the right kind, and warnings.

`read_object` is the whole way; `read_body` goes as far as JSON, for what is not an object of a kind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from apimachinery.custom import CustomObject
from apimachinery.errors import BadRequest, StatusError, invalid, invalid_object
from apimachinery.fields.unknownfields import MAX_REPORTED, unknown_fields
from apimachinery.meta import Object
from apimachinery.model import decode, encode
from apimachinery.resource import Resource
from apiserver.codec import protobuf
from apiserver.codec.fieldvalidation import duplicate_fields, field_faults, may_repeat_fields
from apiserver.http.negotiation import body_format
from apiserver.http.rendering import INLINE_BYTES
from apiserver.request.message import Request

MOST_LEVELS = 240  # of objects and lists in one another: deeper ones could be read, but not written

T = TypeVar("T", bound=Object)

SHOWN_BYTES = 30  # of a body that is not an object, in the error


@dataclass(frozen=True, slots=True)
class Body:
    json: bytes
    repeated: tuple[str, ...] | None = None
    """The keys that a YAML body has twice in one map: `line 3: key "a" already set in map`. None for JSON as the
    client sent it: nobody has looked yet."""


class StrictDecoding(BadRequest):
    """The body has a field that the kind lacks, or one twice; `warnings` says which."""

    warnings: list[str]


async def read_body(request: Request) -> Body:
    """Raises: BadRequest, UnsupportedMediaType, RequestEntityTooLarge."""
    kind = body_format(request.header(b"content-type"))
    body = await request.body()
    if kind == "json" or not body:
        return Body(body)
    if kind == "protobuf":
        return Body(protobuf.to_json(body))
    if len(body) < INLINE_BYTES:
        return yaml_to_json(body)
    return await asyncio.to_thread(yaml_to_json, body)


async def read_object(request: Request, resource: Resource[T], validation: str) -> tuple[T, list[str]]:
    """The object that a request sends, and warnings. Raises: as `read_body` and `decode_checked`."""
    return decode_checked(resource, await read_body(request), validation)


def yaml_to_json(body: bytes) -> Body:
    """Raises: BadRequest for malformed YAML, several documents, or one that is too deep or expands too far."""
    from apimachinery.text.yaml import YamlError, read_document  # here, as PyYAML takes 15 ms and few bodies are YAML

    try:
        document, repeated_keys = read_document(body)
    except YamlError as error:
        raise BadRequest(f"error converting YAML to JSON: yaml: {error}") from None
    try:
        return Body(orjson.dumps(document), tuple(map(str, repeated_keys[:MAX_REPORTED])))
    except (orjson.JSONEncodeError, TypeError) as error:
        raise BadRequest(f"error converting YAML to JSON: {error}") from None


def decode_object(resource: Resource[T], body: bytes) -> T:
    """A new object of the resource's kind from JSON, with `kind` and `apiVersion` set and defaults applied.

    Raises: BadRequest for malformed JSON, a wrong type (it names the field), or another kind.
    """
    if not body:
        raise _unrecognized(resource, body, "unexpected end of JSON input")
    try:
        obj = decode(resource.model, body)
    except BadRequest as error:
        raise _decode_error(resource, body, error) from None
    if isinstance(obj, CustomObject) and _is_too_deep(body, obj.content):
        raise BadRequest("the request's body is nested too deeply")
    _complete(resource, obj)
    return obj


def decode_checked(resource: Resource[T], body: Body, validation: str) -> tuple[T, list[str]]:
    """The object, and warnings about fields that the kind lacks or that the body has twice.

    A correct body is recognised at almost no cost; only for another one is the fault looked for.
    Raises: BadRequest, also for what would be warned about if `validation` is "Strict".
    """
    if validation == "Ignore" or not body.json:
        return decode_object(resource, body.json), []
    if resource.schema is not None:
        return _decode_custom(resource, body, validation)
    try:
        obj = resource.model.model_validate_json(body.json, extra="forbid")
    except ValidationError:
        obj = decode_object(resource, body.json)
        return obj, check_fields(resource, body, validation)
    _complete(resource, obj)
    if not body.repeated and (body.repeated is not None or not may_repeat_fields(body.json)):
        return obj, []
    return obj, check_fields(resource, body, validation)


def _is_too_deep(body: bytes, value: Any) -> bool:
    if body.count(b"{") + body.count(b"[") <= MOST_LEVELS:
        return False
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [item for item in level if item and isinstance(item, dict | list)]
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return bool(level)


def _decode_custom(resource: Resource[T], body: Body, validation: str) -> tuple[T, list[str]]:
    """The same for a kind with a schema, which notes what it drops. Raises: as `decode_checked`."""
    obj = decode_object(resource, body.json)
    assert isinstance(obj, CustomObject)
    warnings = in_one_text(body.repeated or ())
    if body.repeated is None and may_repeat_fields(body.json):
        warnings += duplicate_fields(body.json)
    warnings += [f'unknown field "{path}"' for path in obj.dropped[:MAX_REPORTED]]
    if warnings and validation == "Strict":
        raise _strict(resource, warnings)
    return obj, warnings


def _complete(resource: Resource[T], obj: T) -> None:
    if resource.schema is not None and obj.kind != resource.kind:
        raise _other_kind(resource, obj)
    check_kind(resource, obj.kind, obj.apiVersion)
    obj.kind, obj.apiVersion = resource.kind, resource.api_version
    resource.strategy.default(obj)


def check_kind(resource: Resource[Any], kind: str | None, api_version: str | None) -> None:
    """Compares the kind and version that a body names, if any, with the resource's. Raises: BadRequest."""
    if kind and kind != resource.kind:
        raise BadRequest(
            f'{kind} in version "{(api_version or resource.api_version).rpartition("/")[2]}" cannot be handled as a '
            f'{resource.kind}: no kind "{kind}" is served at this path'
        )
    if api_version and api_version != resource.api_version:
        raise BadRequest(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({resource.api_version})"
        )


def _decode_error(resource: Resource[Any], body: bytes, error: BadRequest) -> BadRequest:
    """The error with what the body claims to be, as far as it can be read."""
    _, _, why = error.message.partition(": ")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as malformed:
        document, why = None, f"invalid JSON: {malformed}"
    if isinstance(document, dict):
        kind, version = document.get("kind"), document.get("apiVersion")
        if isinstance(kind, str) and isinstance(version, str | None) and kind:
            check_kind(resource, kind, version)
            version = (version or resource.api_version).rpartition("/")[2]
            return BadRequest(f'{kind} in version "{version}" cannot be handled as a {resource.kind}: {why}')
    return _unrecognized(resource, body, why)


def _unrecognized(resource: Resource[Any], body: bytes, why: str) -> BadRequest:
    """With the beginning of the body: as hexadecimal digits where it can't be an object."""
    start = body[:SHOWN_BYTES]
    shown = start.decode("utf-8", "replace") if start.startswith(b"{") else start.hex()
    shown = (shown or "<empty>") + (" ..." if len(body) > SHOWN_BYTES else "")
    return BadRequest(f"the object provided is unrecognized (must be of type {resource.kind}): {why} ({shown})")


def in_one_text(repeated: Sequence[str]) -> list[str]:
    """Joins the repeated keys of a YAML body to the one error that Go's reader makes of them; [] for none."""
    return ["\n  ".join(["yaml: unmarshal errors:", *repeated])] if repeated else []


def check_fields(resource: Resource[Any], body: Body, validation: str) -> list[str]:
    """Warnings about unknown and duplicate fields.

    Raises: StrictDecoding with all of them if `validation` is "Strict".
    """
    document = orjson.loads(body.json)
    unknown = unknown_fields(resource.model, document)
    warnings = [*in_one_text(body.repeated or ()), *field_faults(body.json, unknown)]
    if warnings and validation == "Strict":
        raise _strict(resource, warnings)
    return warnings


def _strict(resource: Resource[Any], warnings: list[str]) -> StrictDecoding:
    version = resource.api_version.rpartition("/")[2]
    where = f'{resource.kind} in version "{version}" cannot be handled as a {resource.kind}'
    error = StrictDecoding(f"{where}: strict decoding error: {', '.join(warnings)}")
    error.warnings = warnings
    return error


def _other_kind(resource: Resource[Any], obj: Object) -> StatusError:
    """The error of a body whose kind is not that of a custom resource: it may have no kind at all there, too."""
    if not obj.kind:
        text = encode(obj)
        return _unrecognized(resource, text, f"Object 'Kind' is missing in '{text.decode()}'")
    why = invalid("kind", obj.kind, f"must be {resource.kind}")
    return invalid_object(obj.kind, resource.group, obj.metadata.name or "", [why])


def check_place(obj: Object, resource: Resource[Any], namespace: str, name: str = "") -> None:
    """Compares the body's own name and namespace, where it has them, with those of the path; `name` "" is a create.

    Raises: BadRequest.
    """
    meta = obj.metadata
    if name:
        if not meta.name:
            why = "name must be provided"
            raise BadRequest(f"the name of the object ({name} based on URL) was undeterminable: {why}")
        if meta.name != name:
            raise BadRequest(f"the name of the object ({meta.name}) does not match the name on the URL ({name})")
    if resource.namespaced and meta.namespace not in (None, "", namespace):
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    meta.namespace = namespace if resource.namespaced else None
