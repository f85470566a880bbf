"""Steps of several verbs: read the object that a request sends, answer a write."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from apimachinery.errors import FieldError, GatewayTimeout, NotAcceptable, StatusError
from apimachinery.meta import Object
from apimachinery.resource import Resource
from apiserver.codec import tables
from apiserver.codec.body import check_place, read_object
from apiserver.http.negotiation import METADATA, METADATA_LIST, Representation
from apiserver.http.types import Header
from apiserver.request.message import Answer, Request, Response, status_response
from apiserver.request.query import WriteOptions, parse_write_options
from apiserver.storage.interface import RevisionTooLarge

T = TypeVar("T", bound=Object)

RETRY_SECONDS = 1  # in Retry-After of errors that pass by themselves
MAX_WARNING_BYTES = 4096  # of all Warning headers together; later ones are left out
CREATED = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
"""The answer to a POST whose object is not kept."""


async def receive(
    request: Request, resource: Resource[T], options_kind: str, name: str = ""
) -> tuple[T, WriteOptions, list[str]]:
    """The object that a request sends, what it asks of the write, and warnings about the body.

    `name` is that of the path; "" for a create. Raises: BadRequest, Invalid, NotAcceptable, UnsupportedMediaType,
    RequestEntityTooLarge.
    """
    options = write_options(request, options_kind)
    obj, warnings = await read_object(request, resource, options.field_validation)
    check_place(obj, resource, request.info.namespace, name)
    return obj, options, warnings


def write_options(request: Request, kind: str, *, applies: bool = False) -> WriteOptions:
    """The options of a write, from the query; `kind` is their kind. Raises: Invalid, BadRequest, NotAcceptable."""
    request.check_acceptable()
    query = request.query if request.query_string else {}
    options = parse_write_options(query, kind, request.header(b"user-agent"), applies=applies)
    return options if request.audit is None else replace(options, audit_annotations=request.audit.annotations)


def answer(
    request: Request, resource: Resource[Any], value: bytes, status: int = 200, warnings: Iterable[str] = ()
) -> Response:
    """One encoded object, in the shape that the client accepts."""
    representation = request.representation
    if representation.shape:
        check_shape(resource, representation)
        value = tables.transform_object(
            resource, value, representation, tables.include_object(request.parameter("includeObject"))
        )
    return Response(value, status, headers=warning_headers(warnings))


def check_shape(resource: Resource[Any], representation: Representation, *, many: bool = False) -> None:
    """Raises: NotAcceptable for the metadata of a list asked of an object, or the other way round."""
    kind = f"*{resource.group.partition('.')[0] or 'core'}.{resource.list_kind if many else resource.kind}"
    if many and representation.shape == METADATA:
        raise NotAcceptable(f"you requested PartialObjectMetadata, but the requested object is a list ({kind})")
    if not many and representation.shape == METADATA_LIST:
        raise NotAcceptable(f"you requested PartialObjectMetadataList, but the requested object is not a list ({kind})")


def revision_too_large(error: RevisionTooLarge) -> GatewayTimeout:
    cause = FieldError("ResourceVersionTooLarge", "", "Too large resource version")
    return GatewayTimeout(f"Timeout: {error}", {}, [cause], RETRY_SECONDS)


async def with_warnings(warnings: Iterable[str], work: Awaitable[Answer]) -> Answer:
    """Adds warnings to an answer that is not a stream, to a refusal as well."""
    headers = warning_headers(warnings)
    if headers is None:
        return await work
    try:
        result = await work
    except StatusError as error:
        result = status_response(error)
    if isinstance(result, Response):
        result.headers = [*headers, *(result.headers or ())]
    return result


def warning_headers(warnings: Iterable[str]) -> list[Header] | None:
    """RFC 7234 `Warning` headers with code 299; no text twice."""
    headers: list[Header] = []
    size = 0
    for text in dict.fromkeys(warnings):
        printable = "".join(char if char.isprintable() else " " for char in text)
        escaped = printable.replace("\\", "\\\\").replace('"', '\\"')
        value = f'299 - "{escaped}"'.encode()
        size += len(value)
        if size > MAX_WARNING_BYTES:
            break
        headers.append((b"warning", value))
    return headers or None
