"""Encodes requests and decodes answers: paths, bodies, options, lists, events and errors. Without I/O.

Bytes become models in one pass of pydantic's own JSON parser, lists and watch events included; nothing goes through
dicts on the way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import orjson

from apimachinery.errors import BadRequest, StatusError, from_status
from apimachinery.meta import DeleteOptions, Object, ObjectList, Preconditions
from apimachinery.model import Model, decode, encode
from apimachinery.resource import Resource, resource_of
from apimachinery.splice import split_owners

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PARTIAL_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
PARTIAL_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


T = TypeVar("T", bound=Object)

_PLAIN_NAME = re.compile(r"[A-Za-z0-9._~:-]+\Z")


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """All objects of one snapshot; a watch continues from `resource_version`."""

    items: list[T]
    resource_version: str


class WatchEvent(Model, Generic[T]):
    """`type` is "ADDED", "MODIFIED", "DELETED" or "BOOKMARK" (whose object has a resourceVersion alone)."""

    type: str
    object: T


_list_models: dict[type, type[ObjectList[Any]]] = {}
_event_models: dict[type, type[WatchEvent[Any]]] = {}


def list_model(model: type[T]) -> type[ObjectList[T]]:
    envelope = _list_models.get(model)
    if envelope is None:
        envelope = _list_models[model] = ObjectList[model]  # type: ignore[valid-type]
    return envelope


def event_model(model: type[T]) -> type[WatchEvent[T]]:
    envelope = _event_models.get(model)
    if envelope is None:
        envelope = _event_models[model] = WatchEvent[model]  # type: ignore[valid-type]
    return envelope


def as_resource(model: type[T] | Resource[T]) -> Resource[T]:
    return model if isinstance(model, Resource) else resource_of(model)


def quoted(name: str) -> str:
    """Percent-encodes a name as a path segment, where it is not plain. Raises: BadRequest for "", "." and ".."."""
    if _PLAIN_NAME.match(name) and name not in (".", ".."):
        return name
    if name in ("", ".", ".."):
        raise BadRequest(f"{name!r} can't be the name of an object")
    return quote(name, safe="")


def path(resource: Resource[Any], namespace: str = "", name: str | None = None, subresource: str = "") -> str:
    if namespace:
        namespace = quoted(namespace)
    return resource.path(namespace, "" if name is None else quoted(name), subresource)


def selection(label_selector: str, field_selector: str) -> dict[str, str]:
    params = {}
    if label_selector:
        params["labelSelector"] = label_selector
    if field_selector:
        params["fieldSelector"] = field_selector
    return params


def body(obj: Object, resource: Resource[Any]) -> bytes:
    """Encodes the object, and puts kind and apiVersion in where it lacks them."""
    data = encode(obj)
    if obj.kind is None:
        rest = data[1:] if data == b"{}" else b"," + data[1:]
        return b'{"kind":"%s","apiVersion":"%s"%s' % (resource.kind.encode(), resource.api_version.encode(), rest)
    return data


def identify(obj: Object, resource: Resource[Any]) -> None:
    """Sets kind and apiVersion, which the items of a list may lack."""
    obj.kind = resource.kind
    obj.apiVersion = resource.api_version


def delete_options(
    grace_period_seconds: int | None,
    propagation_policy: str | None,
    uid: str | None = None,
    resource_version: str | None = None,
) -> bytes | None:
    if grace_period_seconds is None and not (propagation_policy or uid or resource_version):
        return None
    preconditions = Preconditions(uid=uid, resourceVersion=resource_version) if uid or resource_version else None
    options = DeleteOptions(kind="DeleteOptions", apiVersion="v1", gracePeriodSeconds=grace_period_seconds)
    options.preconditions = preconditions
    options.propagationPolicy = propagation_policy
    return encode(options)


def decode_event(envelope: type[WatchEvent[T]], line: bytes) -> WatchEvent[T]:
    """Leaves out managedFields where they are spliced in: informers keep none, and they take a third of the time.

    Raises: the StatusError inside an ERROR event.
    """
    if b'"ERROR"' in line[:24]:
        document = orjson.loads(line)
        if document.get("type") == "ERROR":
            raise from_status(document.get("object") or {}, 500)
    return decode(envelope, split_owners(line)[0] if b'"managedFields":' in line else line)


def error(status: int, body: bytes, retry_after: str) -> StatusError:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict) or document.get("kind") != "Status":
        text = body.decode("utf-8", "replace").strip()[:1024]
        document = {"message": text or f"the server answered {status}", "code": status}
    error = from_status(document, status)
    if error.retry_after_seconds is None and retry_after.isdigit():
        error.retry_after_seconds = int(retry_after)
    return error
