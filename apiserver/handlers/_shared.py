"""What several verbs need: the target of a request, its body, the answer to a write."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from apimachinery.errors import BadRequest, FieldError, GatewayTimeout, NotAcceptable
from apimachinery.meta import Object
from apimachinery.resource import Resource
from apiserver.codec import protobuf, tables
from apiserver.codec.body import yaml_to_json
from apiserver.http.negotiation import METADATA, METADATA_LIST, Wanted, body_format
from apiserver.http.rendering import INLINE_BYTES
from apiserver.http.types import Header
from apiserver.registry.store import Store, Written
from apiserver.request.message import Request, Response
from apiserver.request.query import WriteOptions, parse_write_options
from apiserver.storage.interface import RevisionTooLarge

T = TypeVar("T", bound=Object)

RETRY_SECONDS = 1  # in Retry-After of errors that pass by themselves
MAX_WARNING_BYTES = 4096  # of all Warning headers together; later ones are left out


def write_options(request: Request, kind: str, *, applies: bool = False) -> WriteOptions:
    """What the request asks of a write; `kind` is that of its options. Raises: Invalid, BadRequest, NotAcceptable."""
    _ = request.wanted  # what can't be answered is refused before anything is written
    query = request.query if request.query_string else {}
    return parse_write_options(query, kind, request.header(b"user-agent"), applies=applies)


@dataclass(frozen=True, slots=True)
class Target:
    """The resource a path names, with its registry."""

    resource: Resource[Any]
    store: Store[Any]


async def json_body(request: Request, repeated: list[str] | None = None) -> bytes:
    """The body as JSON; a warning about what a YAML body says twice is added to `repeated`.

    Raises: BadRequest, UnsupportedMediaType, RequestEntityTooLarge, NotAcceptable.
    """
    _ = request.wanted  # as above
    kind = body_format(request.header(b"content-type"))
    body = await request.body()
    if kind == "json" or not body:
        return body
    if kind == "protobuf":
        return protobuf.to_json(body)
    if len(body) < INLINE_BYTES:
        return yaml_to_json(body, repeated)
    return await asyncio.to_thread(yaml_to_json, body, repeated)


def check_place(obj: Object, resource: Resource[Any], namespace: str, name: str = "") -> None:
    """The body's own name and namespace, where given, are those of the path; `name` "" is a create.

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
        if name:
            raise BadRequest(
                f"the namespace of the object ({meta.namespace}) does not match the namespace on the request "
                f"({namespace})"
            )
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    meta.namespace = namespace if resource.namespaced else None


def answer(
    request: Request, resource: Resource[Any], written: Written, status: int, warnings: Iterable[str]
) -> Response:
    """The object after a write, in the shape the client accepts."""
    wanted = request.wanted
    body = written.value
    if wanted.shape:
        check_shape(resource, wanted)
        body = tables.transform_object(
            resource, body, wanted, tables.include_object(request.parameter("includeObject"))
        )
    return Response(body, status, headers=warning_headers(warnings))


def check_shape(resource: Resource[Any], wanted: Wanted, *, many: bool = False) -> None:
    """Raises: NotAcceptable for the metadata of a list asked of an object, or the other way round."""
    kind = f"*{resource.group.partition('.')[0] or 'core'}.{resource.list_kind if many else resource.kind}"
    if many and wanted.shape == METADATA:
        raise NotAcceptable(f"you requested PartialObjectMetadata, but the requested object is a list ({kind})")
    if not many and wanted.shape == METADATA_LIST:
        raise NotAcceptable(f"you requested PartialObjectMetadataList, but the requested object is not a list ({kind})")


def revision_too_large(error: RevisionTooLarge) -> GatewayTimeout:
    cause = FieldError("ResourceVersionTooLarge", "", "Too large resource version")
    return GatewayTimeout(f"Timeout: {error}", {}, [cause], RETRY_SECONDS)


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
