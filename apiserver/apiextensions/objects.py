"""Rules of custom resources: as those of any kind, but from the schema of a version instead of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Protocol

import orjson

from apimachinery.custom import CustomObject
from apimachinery.errors import FieldError, invalid
from apimachinery.model import encode, to_dict
from apimachinery.resource import Scale, Strategy
from apimachinery.splice import split_owners, with_owners, with_revision
from apiserver.apiextensions.columns import value_at
from apiserver.apiextensions.schema import Compiled, compile_schema
from apiserver.managedfields.shapes import Shape
from componentbase import logs

Dict = dict[str, Any]

MAX_REPLICAS = 2**31 - 1
INLINE_BYTES = 64 * 1024
"""Definitions whose objects are checked in the event loop: what larger ones ask for, and how long it takes the first
time, is up to their authors."""
_GO_TYPES = {
    str: "string",
    bool: "bool",
    int: "int64",
    float: "float64",
    list: "[]interface {}",
    dict: "map[string]interface {}",
    type(None): "<nil>",
}

log = logs.logger(__name__)


class Webhook(Protocol):
    async def convert(self, values: Sequence[bytes], schema: CustomSchema) -> list[bytes]:
        """Returns encoded objects in the version of the schema, pruned. Raises: StatusError."""
        ...


class CustomSchema:
    """The schema of one version, compiled when the first object needs it: most kinds of a cluster have few objects.

    Until then all that is kept is a reference to the encoded definition, which the watch cache holds anyway.
    """

    def __init__(self, definition: bytes, version: str, api_version: str, *, by_webhook: bool) -> None:
        """`by_webhook`: a webhook converts objects of other versions."""
        self.by_webhook = by_webhook
        self.webhook: Webhook | None = None
        """Set where it is served and `by_webhook`."""
        self.definition = definition
        self.version = version
        self.api_version = api_version

    @cached_property
    def _compiled(self) -> Compiled:
        return compile_schema(self.raw())

    @cached_property
    def _shape(self) -> Shape:
        return self._compiled.merge_types()

    def raw(self) -> Dict:
        """The `openAPIV3Schema` itself."""
        spec = orjson.loads(self.definition)["spec"]
        version = next(item for item in spec["versions"] if item["name"] == self.version)
        return (version.get("schema") or {}).get("openAPIV3Schema") or {}

    def merge_types(self) -> Shape:
        return self._shape

    def complete(self, obj: CustomObject) -> None:
        """Prunes the object, notes what that has dropped, and sets defaults."""
        dropped = self._compiled.complete(obj.content)
        if dropped:
            obj.dropped[:] = sorted([*obj.dropped, *dropped])

    def validate(self, obj: CustomObject, old: CustomObject | None = None, *, status: bool = False) -> list[FieldError]:
        return self._compiled.validate(document(obj), document(old) if old is not None else None, status=status)

    def convert(self, value: bytes) -> bytes:
        """Brings an object of another version into this one: nothing but its `apiVersion` differs, and the fields that
        this version lacks are lost."""

        def change(obj: CustomObject) -> None:
            obj.apiVersion = self.api_version
            self.prune(obj)

        return changed(value, change)

    async def convert_by_webhook(self, values: Sequence[bytes]) -> list[bytes]:
        assert self.webhook is not None
        return await self.webhook.convert(values, self)

    def prune(self, obj: CustomObject) -> list[str]:
        """Drops what the schema lacks; returns the paths."""
        return self._compiled.prune(obj.content)

    def read(self, stored: bytes) -> bytes:
        def change(obj: CustomObject) -> None:
            if obj.apiVersion == self.api_version or not self.by_webhook:  # else the storage of each version asks it
                obj.apiVersion = self.api_version
                self.complete(obj)

        try:
            return changed(stored, change)
        except Exception as error:  # one object must not stop the cache
            log.error("stored object does not fit its schema", api_version=self.api_version, error=str(error))
            return stored


def changed(value: bytes, change: Callable[[CustomObject], None]) -> bytes:
    """An encoded object after a change. Its owners, and its revision if it has one, stay where storage puts them."""
    plain, owners = split_owners(value)
    obj = CustomObject.model_validate_json(plain)
    change(obj)
    return encoded(obj, owners)


def encoded(obj: CustomObject, owners: bytes) -> bytes:
    revision, obj.metadata.resourceVersion = obj.metadata.resourceVersion, None
    raw = with_owners(encode(obj), owners)
    return with_revision(raw, int(revision)) if revision else raw


def document(obj: CustomObject) -> Dict:
    """The object as plain JSON types; its content is shared, not copied."""
    return {"apiVersion": obj.apiVersion, "kind": obj.kind, "metadata": to_dict(obj.metadata), **obj.content}


class CustomStrategy(Strategy[CustomObject]):
    """`has_status`: the status is written by its subresource alone."""

    allow_unconditional_update = False
    plain_finalizers = True

    def __init__(self, schema: CustomSchema, *, has_status: bool, scale: Scale | None = None) -> None:
        self._schema = schema
        self._scale = scale
        self._has_status = has_status
        self.compiles = len(schema.definition) > INLINE_BYTES
        self.ignored_members = {  # type: ignore[misc]
            "": ("status",) if has_status else (),
            "status": ("metadata", "spec"),
        }

    def default(self, obj: CustomObject) -> None:
        self._schema.complete(obj)

    def prepare_create(self, obj: CustomObject) -> None:
        obj.metadata.generation = 1
        if self._has_status:
            obj.content.pop("status", None)

    def prepare_update(self, obj: CustomObject, old: CustomObject) -> None:
        if self._has_status:
            _copy_status(old, obj)
        self._count(obj, old)

    def prepare_status_update(self, obj: CustomObject, old: CustomObject) -> None:
        sent, revision = dict(obj.content), obj.metadata.resourceVersion
        obj.metadata = old.metadata.clone()
        obj.metadata.resourceVersion = revision
        obj.content = {name: value for name, value in old.content.items() if name != "status"}
        if "status" in sent:
            obj.content["status"] = sent["status"]

    def prepare_subresource_update(self, obj: CustomObject, old: CustomObject, subresource: str) -> None:
        self._count(obj, old)

    def _count(self, obj: CustomObject, old: CustomObject) -> None:
        """Raises the generation for any change of what the user wants."""
        if self._wanted(obj) != self._wanted(old):
            obj.metadata.generation = (old.metadata.generation or 0) + 1

    def _wanted(self, obj: CustomObject) -> Dict:
        if not self._has_status:
            return obj.content
        return {name: value for name, value in obj.content.items() if name != "status"}

    def validate_create(self, obj: CustomObject) -> list[FieldError]:
        return self._schema.validate(obj) + self._scale_errors(obj)

    def validate_update(self, obj: CustomObject, old: CustomObject) -> list[FieldError]:
        return self._schema.validate(obj, old) + self._scale_errors(obj)

    def validate_status_update(self, obj: CustomObject, old: CustomObject) -> list[FieldError]:
        return self._schema.validate(obj, old, status=True) + self._scale_errors(obj)

    def validate_subresource_update(self, obj: CustomObject, old: CustomObject, subresource: str) -> list[FieldError]:
        return self._schema.validate(obj, old) + self._scale_errors(obj)

    def _scale_errors(self, obj: CustomObject) -> list[FieldError]:
        """Holds the fields behind a scale to their types: the schema may allow others."""
        if self._scale is None:
            return []
        paths = (self._scale.spec_replicas, self._scale.status_replicas)
        errors = [error for path in paths for error in replicas_errors(obj.content, path)]
        selector = self._scale.selector
        if selector and (text := _type_error(obj.content, selector, str, "string")):
            errors.append(invalid(f".{selector}", "", text))
        return errors


def replicas_errors(content: Dict, path: str) -> list[FieldError]:
    if text := _type_error(content, path, int, "int64"):
        return [invalid(f".{path}", 0, text)]
    number = value_at(content, path.split(".")) or 0
    if number < 0:
        return [invalid(f".{path}", number, "should be a non-negative integer")]
    if number > MAX_REPLICAS:
        return [invalid(f".{path}", number, f"should be less than or equal to {MAX_REPLICAS}")]
    return []


def _type_error(content: Dict, path: str, kind: type, name: str) -> str:
    """Says that the value at a path is of another type, as Go does; "" for a good one, or none."""
    value: Any = content
    for part in path.split("."):
        if not isinstance(value, dict):
            kind, name = dict, "map[string]interface {}"
            break
        if part not in value:
            return ""
        value = value[part]
    if type(value) is kind:
        return ""
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return f".{path} accessor error: {shown} is of the type {_GO_TYPES[type(value)]}, expected {name}"


def _copy_status(source: CustomObject, target: CustomObject) -> None:
    target.content.pop("status", None)
    if "status" in source.content:
        target.content["status"] = source.content["status"]
