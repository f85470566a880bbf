"""Request bodies into objects: JSON or YAML, the right kind, defaults applied; unknown fields reported when asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError

from apimachinery.errors import BadRequest
from apimachinery.meta import Object
from apimachinery.model import decode
from apimachinery.resource import Resource
from apiserver.codec.fieldvalidation import MAX_REPORTED, duplicate_fields, may_repeat_fields, unknown_fields

T = TypeVar("T", bound=Object)

SHOWN_BYTES = 30  # of a body that is no object, in the error


class StrictDecoding(BadRequest):
    """A field that the kind lacks, or one given twice; `found` says which."""

    found: list[str]


def yaml_to_json(body: bytes, repeated: list[str] | None = None) -> bytes:
    """A warning about keys that stand in one map twice is added to `repeated`.

    Raises: BadRequest for malformed YAML, several documents, or one that is too deep or expands too far.
    """
    from apimachinery.yaml import YamlError, read_document  # here, as PyYAML takes 15 ms and few bodies are YAML

    try:
        document, repeated_keys = read_document(body)
    except YamlError as error:
        raise BadRequest(f"error converting YAML to JSON: yaml: {error}") from None
    if repeated_keys and repeated is not None:
        repeated.append("\n  ".join(["yaml: unmarshal errors:", *map(str, repeated_keys[:MAX_REPORTED])]))
    try:
        return orjson.dumps(document)
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
    _complete(resource, obj)
    return obj


def read_object(
    resource: Resource[T], body: bytes, validation: str, repeated: list[str] | None = None
) -> tuple[T, list[str]]:
    """The object of a request, and warnings about fields that it does not have or that are given twice; `repeated`
    holds those that are known already.

    That nothing is wrong is seen at almost no cost; what is wrong is only then looked for.
    Raises: BadRequest, also for what would be warned about if `validation` is "Strict".
    """
    if validation == "Ignore" or not body:
        return decode_object(resource, body), []
    repeated = repeated or []
    try:
        obj = resource.model.model_validate_json(body, extra="forbid")
    except ValidationError:
        obj = decode_object(resource, body)
        return obj, check_fields(resource, body, validation, repeated)
    _complete(resource, obj)
    if not repeated and not may_repeat_fields(body):
        return obj, []
    return obj, check_fields(resource, body, validation, repeated)


def _complete(resource: Resource[T], obj: T) -> None:
    check_kind(resource, obj.kind, obj.apiVersion)
    obj.kind, obj.apiVersion = resource.kind, resource.api_version
    resource.strategy.default(obj)


def check_kind(resource: Resource[Any], kind: str | None, api_version: str | None) -> None:
    """What the body says it is, where it says so. Raises: BadRequest."""
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


def check_fields(resource: Resource[Any], body: bytes, validation: str, repeated: Iterable[str] = ()) -> list[str]:
    """Warnings about unknown and duplicate fields.

    Raises: BadRequest with all of them for "Strict".
    """
    found = [*repeated, *duplicate_fields(body), *unknown_fields(resource.model, orjson.loads(body))]
    if found and validation == "Strict":
        version = resource.api_version.rpartition("/")[2]
        where = f'{resource.kind} in version "{version}" cannot be handled as a {resource.kind}'
        error = StrictDecoding(f"{where}: strict decoding error: {', '.join(found)}")
        error.found = found
        raise error
    return found
