"""`scale` (autoscaling/v1): the replicas of any kind that has them, without knowing the kind.

Source: Kubernetes API reference, "Scale".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import orjson

from apimachinery.errors import FieldError, invalid, invalid_object, object_not_found
from apimachinery.meta import LabelSelector, ObjectMeta
from apimachinery.model import decode, encode
from apimachinery.resource import Resource
from apimachinery.resource import Scale as ScalePaths
from apimachinery.selectors import selector_from_map, selector_of
from apiserver.codec.body import read_object
from apiserver.handlers._shared import Target, check_place, json_body, warning_headers, write_options
from apiserver.handlers.patch import (
    APPLY_PATCH,
    apply_patch,
    encoded,
    parse_patch,
    patch_type,
    read_patched,
    repeated_fields,
)
from apiserver.main.context import Context
from apiserver.request.message import Request, Response
from apiserver.request.query import WriteOptions, parse_revision
from apiserver.storage.interface import Entry
from apiserver.subresources._subresource import Subresource
from kubeapi.autoscaling.scale import RESOURCE as SCALE
from kubeapi.autoscaling.scale import Scale, ScaleSpec, ScaleStatus

GROUP, VERSION, KIND = "autoscaling", "v1", "Scale"


def scale_of(resource: Resource[Any]) -> Subresource:
    return Subresource(
        resource.plural,
        "scale",
        {"get": _get, "update": _update, "patch": _patch},
        kind=KIND,
        group=GROUP,
        version=VERSION,
        resource_group=resource.group,
    )


def to_scale(obj: Any, paths: ScalePaths) -> Scale:
    """The Scale that an object of a scalable kind shows."""
    meta = obj.metadata
    selector = _read(obj, paths.selector)
    text = str(selector_of(selector) if isinstance(selector, LabelSelector) else selector_from_map(selector))
    return Scale(
        kind=KIND,
        apiVersion=SCALE.api_version,
        metadata=ObjectMeta(
            name=meta.name,
            namespace=meta.namespace,
            uid=meta.uid,
            resourceVersion=meta.resourceVersion,
            creationTimestamp=meta.creationTimestamp,
        ),
        spec=ScaleSpec(replicas=_read(obj, paths.spec_replicas) or 0),
        status=ScaleStatus(replicas=_read(obj, paths.status_replicas) or 0, selector=text or None),
    )


def _read(obj: Any, path: str) -> Any:
    for part in path.split("."):
        if obj is None:
            return None
        obj = getattr(obj, part)
    return obj


def _write(obj: Any, path: str, value: int) -> None:
    parent, _, field = path.rpartition(".")
    setattr(_read(obj, parent), field, value)


async def _get(context: Context, request: Request, target: Target) -> Response:
    resource, info = target.resource, request.info
    revision = parse_revision(request.parameter("resourceVersion"))
    entry = await context.storage.get(resource, info.namespace, info.name, min_revision=revision)
    if entry is None:
        raise object_not_found(resource.plural, resource.group, info.name)
    return Response(encode(to_scale(decode(resource.model, entry.value), _paths(resource))))


async def _update(context: Context, request: Request, target: Target) -> Response:
    options = write_options(request, "UpdateOptions")
    scale, warnings = read_object(SCALE, await json_body(request), options.field_validation)
    return await _change(request, target, lambda current: scale.clone(), options, warnings)


async def _patch(context: Context, request: Request, target: Target) -> Response:
    kind = patch_type(request.header(b"content-type"))
    if kind == APPLY_PATCH:
        return await _server_side_apply(request, target)
    options = write_options(request, "PatchOptions")
    body = await request.body()
    document = parse_patch(kind, body)
    repeated = repeated_fields(body, options.field_validation)
    warnings: list[str] = []

    def wanted(current: Scale) -> Scale:
        patched = encoded(apply_patch(kind, SCALE, orjson.loads(encode(current)), document))
        scale, found = read_patched(SCALE, patched, repeated, options.field_validation)
        warnings[:] = found
        return cast(Scale, scale)

    return await _change(request, target, wanted, options, warnings)


async def _server_side_apply(request: Request, target: Target) -> Response:
    """The Scale that is applied says one thing about the object behind it: its replicas, which its sender then owns."""
    from apiserver.handlers._apply import Applying, check_config, read_config

    resource, info = target.resource, request.info
    options = write_options(request, "PatchOptions", applies=True)
    config, warnings = read_config(await request.body(), options.field_validation)
    check_config(SCALE, config)
    scale = decode(Scale, encoded(config))
    check_place(scale, resource, info.namespace, scale.metadata.name or "")
    if errors := _errors(scale):
        raise invalid_object(KIND, GROUP, info.name, errors)
    behind: dict[str, Any] = {"apiVersion": resource.api_version, "kind": resource.kind}
    sent = config.get("metadata") or {}
    behind["metadata"] = {key: sent[key] for key in ("name", "namespace", "uid", "resourceVersion") if key in sent}
    if "replicas" in (config.get("spec") or {}):
        *parents, field = _paths(resource).spec_replicas.split(".")
        inner = behind
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[field] = scale.spec.replicas
    applying = Applying(target, info.namespace, info.name, info.subresource, behind, options)
    written = await target.store.update(
        info.namespace, info.name, applying.change, request.user, options, subresource=info.subresource
    )
    return _answer(resource, written.value, warnings)


async def _change(
    request: Request,
    target: Target,
    wanted: Callable[[Scale], Scale],
    options: WriteOptions,
    warnings: list[str],
) -> Response:
    resource, info = target.resource, request.info
    paths = _paths(resource)

    def change(old: Any, entry: Entry) -> Any:
        scale = wanted(to_scale(old, paths))
        check_place(scale, resource, info.namespace, info.name)
        if errors := _errors(scale):
            raise invalid_object(KIND, GROUP, info.name, errors)
        new = decode(resource.model, entry.value)
        new.metadata.uid = scale.metadata.uid
        new.metadata.resourceVersion = scale.metadata.resourceVersion or new.metadata.resourceVersion
        _write(new, paths.spec_replicas, scale.spec.replicas)
        return new

    written = await target.store.update(
        info.namespace, info.name, change, request.user, options, subresource=info.subresource
    )
    return _answer(resource, written.value, warnings)


def _answer(resource: Resource[Any], value: bytes, warnings: list[str]) -> Response:
    scale = to_scale(decode(resource.model, value), _paths(resource))
    return Response(encode(scale), headers=warning_headers(warnings))


def _errors(scale: Scale) -> list[FieldError]:
    if scale.spec.replicas < 0:
        return [invalid("spec.replicas", scale.spec.replicas, "must be greater than or equal to 0")]
    return []


def _paths(resource: Resource[Any]) -> ScalePaths:
    assert resource.scale is not None
    return resource.scale
