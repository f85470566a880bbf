"""`scale` (autoscaling/v1): the replicas of any kind that has them, without knowing the kind.

Source: Kubernetes API reference, "Scale".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apimachinery.custom import CustomObject
from apimachinery.errors import invalid, invalid_object
from apimachinery.meta import LabelSelector, ObjectMeta
from apimachinery.model import decode, encode
from apimachinery.resource import Resource
from apimachinery.resource import Scale as ScalePaths
from apimachinery.selectors import selector_from_map, selector_of
from apimachinery.validation import NOT_NEGATIVE
from apiserver.codec.body import check_place, read_object
from apiserver.handlers._shared import answer, write_options
from apiserver.registry.apply import Apply, check_config, encoded, read_config
from apiserver.registry.changes import Change, Changed, Replacement
from apiserver.registry.patch import APPLY_PATCH, patch_type, read_patch
from apiserver.registry.store import Store
from apiserver.request.message import Request, Response
from apiserver.request.query import WriteOptions, parse_revision
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
        resource_version=resource.version,
        changes_spec=True,
    )


def to_scale(obj: Any, paths: ScalePaths) -> Scale:
    """The Scale that an object of a scalable kind shows."""
    meta = obj.metadata
    selector = _read(obj, paths.selector)
    if not isinstance(selector, str):
        selector = str(selector_of(selector) if isinstance(selector, LabelSelector) else selector_from_map(selector))
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
        status=ScaleStatus(replicas=_read(obj, paths.status_replicas) or 0, selector=selector or None),
    )


def _read(obj: Any, path: str) -> Any:
    for part in path.split("."):
        if obj is None or not part:
            return None
        obj = obj.get(part) if isinstance(obj, dict) else getattr(obj, part, None)
    return obj


def _write(obj: Any, path: str, value: int) -> None:
    *parents, field = path.split(".")
    for parent in parents:
        if isinstance(obj, CustomObject):
            obj = obj.content
        obj = obj.setdefault(parent, {}) if isinstance(obj, dict) else getattr(obj, parent)
    if isinstance(obj, dict):
        obj[field] = value
    else:
        setattr(obj, field, value)


class ScaleChange:
    """A change of the Scale that an object shows, as a change of the object."""

    reads_owners = False

    def __init__(self, change: Change[Scale], resource: Resource[Any], namespace: str, name: str) -> None:
        self._change = change
        self._resource = resource
        self._namespace = namespace
        self._name = name

    def apply(self, old: Any, value: bytes) -> Changed[Any]:
        paths = _paths(self._resource)
        shown = to_scale(old, paths)
        scale, warnings, expected_uid = self._change.apply(shown, encode(shown))
        check_place(scale, self._resource, self._namespace, self._name)
        _check(scale, self._resource, self._name)
        new = decode(self._resource.model, value)
        new.metadata.uid = scale.metadata.uid
        new.metadata.resourceVersion = scale.metadata.resourceVersion or new.metadata.resourceVersion
        _write(new, paths.spec_replicas, scale.spec.replicas)
        return Changed(new, warnings, expected_uid)

    def create(self) -> None:
        """A Scale needs an object."""


async def _get(request: Request, store: Store[Any]) -> Response:
    revision = parse_revision(request.parameter("resourceVersion"))
    entry = await store.read(request.info.namespace, request.info.name, min_revision=revision)
    return _answer(request, store.resource, entry.value, ())


async def _update(request: Request, store: Store[Any]) -> Response:
    options = write_options(request, "UpdateOptions")
    scale, warnings = await read_object(request, SCALE, options.field_validation)
    return await _store_change(request, store, Replacement(scale.clone), options, warnings)


async def _patch(request: Request, store: Store[Any]) -> Response:
    kind, info = patch_type(request.header(b"content-type")), request.info
    if kind == APPLY_PATCH:
        return await _server_side_apply(request, store)
    options = write_options(request, "PatchOptions")
    patch = read_patch(kind, await request.body(), SCALE, info.namespace, info.name, options.field_validation)
    return await _store_change(request, store, patch, options, ())


async def _store_change(
    request: Request, store: Store[Any], change: Change[Scale], options: WriteOptions, warnings: Iterable[str]
) -> Response:
    info = request.info
    of_object = ScaleChange(change, store.resource, info.namespace, info.name)
    result = await store.update(
        info.namespace, info.name, of_object, request.user, options, subresource=info.subresource
    )
    return _answer(request, store.resource, result.value, [*warnings, *result.warnings])


async def _server_side_apply(request: Request, store: Store[Any]) -> Response:
    """The Scale that is applied says one thing about the object behind it: its replicas, which its sender then owns."""
    resource, info = store.resource, request.info
    options = write_options(request, "PatchOptions", applies=True)
    config, warnings = read_config(await request.body(), options.field_validation)
    check_config(SCALE, config)
    scale = decode(Scale, encoded(config))
    check_place(scale, resource, info.namespace, scale.metadata.name or "")
    _check(scale, resource, info.name)
    behind: dict[str, Any] = {"apiVersion": resource.api_version, "kind": resource.kind}
    sent = config.get("metadata") or {}
    behind["metadata"] = {key: sent[key] for key in ("name", "namespace", "uid", "resourceVersion") if key in sent}
    if "replicas" in (config.get("spec") or {}):
        *parents, field = _paths(resource).spec_replicas.split(".")
        inner = behind
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[field] = scale.spec.replicas
    change = Apply(resource, info.namespace, info.name, info.subresource, behind, options, store.clock.now())
    result = await store.update(info.namespace, info.name, change, request.user, options, subresource=info.subresource)
    return _answer(request, resource, result.value, warnings)


def _answer(request: Request, resource: Resource[Any], value: bytes, warnings: Iterable[str]) -> Response:
    scale = to_scale(decode(resource.model, value), _paths(resource))
    return answer(request, SCALE, encode(scale), warnings=warnings)


def _check(scale: Scale, resource: Resource[Any], name: str) -> None:
    """Raises: Invalid; where the kind has a schema, about the field behind the scale."""
    replicas = scale.spec.replicas
    if replicas >= 0:
        return
    if resource.schema is None:
        raise invalid_object(KIND, GROUP, name, [invalid("spec.replicas", replicas, NOT_NEGATIVE)])
    error = invalid(f".{_paths(resource).spec_replicas}", replicas, "should be a non-negative integer")
    raise invalid_object(resource.kind, resource.group, name, [error])


def _paths(resource: Resource[Any]) -> ScalePaths:
    assert resource.scale is not None
    return resource.scale
