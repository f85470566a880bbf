"""JSON schemas of the models, in the spelling of OpenAPI v2 or v3. Pure.

They come from a walk over the models' annotations, not from pydantic's own generator, which would first build the
validators of every kind. Source: OpenAPI 2.0 and 3.0; Kubernetes documentation, "The Kubernetes API", "OpenAPI V3";
"Server-Side Apply", "Merge strategy".
"""

from __future__ import annotations

from typing import Any

from annotated_types import Ge

from apimachinery.absent.empty import NullIfEmpty
from apimachinery.fields.fieldtypes import Field, FieldType, walk_fields
from apimachinery.meta import DeleteOptions, ListMeta, ObjectMeta
from apimachinery.model import (
    Atomic,
    Base64,
    Granular,
    Int32,
    ListMapKeys,
    MergeKey,
    Model,
    OneOf,
    Required,
    RetainKeys,
    Time,
)
from apimachinery.quantity import Quantity
from apimachinery.resource import Resource
from apiserver.discovery.openapi.custom import custom_name, object_schema
from apiserver.discovery.openapi.describe import Descriptions
from apiserver.discovery.openapi.metamodels import Info, Status, WatchEvent

Dict = dict[str, Any]
GroupVersion = tuple[str, str]

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_RAW = "io.k8s.apimachinery.pkg.runtime.RawExtension"
_ORIGINS = {
    "apiregistration.k8s.io": "io.k8s.kube-aggregator.pkg.apis",
    "apiextensions.k8s.io": "io.k8s.apiextensions-apiserver.pkg.apis",
}
"""Groups whose types have not the common prefix."""
_INFO = "io.k8s.apimachinery.pkg.version.Info"

KIND = "The kind of the object in CamelCase, such as Pod. A request may leave it out, as the path implies it."
METADATA = "Standard object's metadata: its name, labels, owners and history."
API_VERSION = (
    "APIVersion defines the group and version of the object as written, such as apps/v1, or v1 for the core group."
)

PRIMITIVES: dict[type, Dict] = {
    str: {"type": "string"},
    int: {"type": "integer", "format": "int64"},
    float: {"type": "number", "format": "double"},
    bool: {"type": "boolean"},
}
NAMED: dict[str, Dict] = {
    _QUANTITY: {
        "description": "An exact number with a suffix: 250m (a quarter), 2, 1.5, 64Mi (2^20 each), 1G (10^9 each). "
        "Whole numbers may be given without quotes. The server answers with the shortest form.",
        "oneOf": [{"type": "string"}, {"type": "number"}],
    },
    _INT_OR_STRING: {
        "description": "A number, or a string such as the name of a port or a percentage.",
        "format": "int-or-string",
        "oneOf": [{"type": "integer"}, {"type": "string"}],
    },
    META + "Time": {
        "description": 'A moment in RFC 3339, in UTC and whole seconds: "2026-01-31T10:00:00Z".',
        "type": "string",
        "format": "date-time",
    },
    META + "MicroTime": {
        "description": 'A moment in RFC 3339, in UTC and microseconds: "2026-01-31T10:00:00.000000Z".',
        "type": "string",
        "format": "date-time",
    },
    META + "FieldsV1": {
        "description": 'A set of fields as a tree: "f:NAME" stands for a member, "k:{…}" for a list\'s item by its '
        'keys, "v:…" for an item of a set, "." for the thing itself.',
        "type": "object",
    },
    META + "Patch": {"description": "A change to an object, in the form that Content-Type names.", "type": "object"},
    _RAW: {"description": "Any object, with the fields of its own kind.", "type": "object"},
}
_MARKED = ((Quantity.__metadata__[0], _QUANTITY), (Time.__metadata__[0], META + "Time"))  # type: ignore[attr-defined]
_BASE64, _INT32 = Base64.__metadata__[0], Int32.__metadata__[0]  # type: ignore[attr-defined]
_INT32_LEAST = -(2**31)


class Schemas:
    """The named schemas of one document: asking for a reference adds what it refers to.

    `homes` says which group and version the models of a module, or of a folder, are of; all others are core's.
    """

    def __init__(
        self,
        *,
        v3: bool,
        homes: dict[str, GroupVersion],
        gvks: dict[type[Model], list[Dict]],
        descriptions: Descriptions,
    ) -> None:
        self.definitions: dict[str, Dict] = {}
        self._v3 = v3
        self._prefix = "#/components/schemas/" if v3 else "#/definitions/"
        self._homes = homes
        self._gvks = gvks
        self._descriptions = descriptions

    def reference(self, body: type[Model] | Resource[Any]) -> Dict:
        name = self.name(body)
        if name not in self.definitions:
            self.definitions[name] = {}  # before its fields: a type may hold itself
            schema = self._custom_schema(body) if isinstance(body, Resource) else self._model_schema(body)
            self.definitions[name] |= schema
        return {"$ref": self._prefix + name}

    def _custom_schema(self, resource: Resource[Any]) -> Dict:
        assert resource.schema is not None
        meta = self._nested(self.reference(ObjectMeta)) | {"description": METADATA}
        identity = {
            "apiVersion": {"type": "string", "description": API_VERSION},
            "kind": {"type": "string", "description": KIND},
            "metadata": meta,
        }
        gvk = gvk_of(resource.group, resource.version, resource.kind)
        return object_schema(resource.schema.raw(), identity, gvk, v3=self._v3)

    def named(self, name: str) -> Dict:
        """A reference to one of NAMED."""
        if name not in self.definitions:
            schema = dict(NAMED[name])
            if not self._v3 and schema.pop("oneOf", None):
                schema["type"] = "string"
            self.definitions[name] = schema
        return {"$ref": self._prefix + name}

    def list_reference(self, resource: Resource[Any]) -> Dict:
        body = resource if resource.schema is not None else resource.model
        item, name = self.reference(body), self.name(body) + "List"
        if name not in self.definitions:
            gvk = {"group": resource.group, "version": resource.version, "kind": resource.list_kind}
            self.definitions[name] = {
                "description": f"A list of objects of the kind {resource.kind}.",
                "type": "object",
                "required": ["items"],
                "properties": {
                    "apiVersion": {"type": "string", "description": API_VERSION},
                    "items": {"type": "array", "items": self._nested(item), "description": "The objects."},
                    "kind": {"type": "string", "description": KIND},
                    "metadata": self._nested(self.reference(ListMeta))
                    | {"description": "The revision of the list, and the token for its next page."},
                },
                "x-kubernetes-group-version-kind": [gvk],
            }
        return {"$ref": self._prefix + name}

    def name(self, model: type[Model] | Resource[Any]) -> str:
        """ "io.k8s.api.apps.v1.Deployment", "com.example.v1.Widget"."""
        if isinstance(model, Resource):
            return custom_name(model)
        if model is Info:
            return _INFO
        if model.__module__.startswith("apimachinery.") or model.__module__ == Status.__module__:
            return META + model.__name__
        module = model.__module__
        group, version = self._homes.get(module) or self._homes.get(module.rpartition(".")[0], ("", "v1"))
        return f"{_ORIGINS.get(group, 'io.k8s.api')}.{group.partition('.')[0] or 'core'}.{version}.{model.__name__}"

    def _model_schema(self, model: type[Model]) -> Dict:
        schema: Dict = {"type": "object"}
        if text := self._descriptions.of_model(model):
            schema["description"] = text
        texts = self._descriptions.of_fields(model)
        properties: Dict = {}
        required = []
        for field in walk_fields(model):
            properties[field.name] = self._field_schema(field)
            if text := texts.get(field.attribute, ""):
                properties[field.name]["description"] = text
            if _is_required(field):
                required.append(field.name)
        if properties:
            schema["properties"] = properties
        if required:
            schema["required"] = required
        if model.map_type != "granular":
            schema["x-kubernetes-map-type"] = model.map_type
        if model in self._gvks:
            schema["x-kubernetes-group-version-kind"] = self._gvks[model]
        return schema

    def _field_schema(self, field: Field) -> Dict:
        schema = self._type_schema(field.type)
        default = field.default
        if self._v3 and isinstance(default, str | int | bool) and default not in ("", 0):
            schema["default"] = default
        return schema | _extensions(field.type)

    def _nested(self, reference: Dict) -> Dict:
        """Wraps a reference so that other keywords can stand beside it, which OpenAPI 3.0 would ignore otherwise."""
        return {"allOf": [reference]} if self._v3 else dict(reference)

    def _type_schema(self, kind: FieldType) -> Dict:
        for mark in kind.marks:
            if isinstance(mark, str):
                return self._nested(self.named(META + mark))
        for known_mark, name in _MARKED:
            if any(mark is known_mark for mark in kind.marks):
                return self._nested(self.named(name))
        if kind.form == "int-or-string":
            return self._nested(self.named(_INT_OR_STRING))
        if kind.model is not None:
            return self._nested(self.reference(kind.model))
        if kind.item is not None:
            if kind.form == "list":
                return {"type": "array", "items": self._type_schema(kind.item)}
            if kind.item.form == "any":
                return self._nested(self.named(_RAW))
            return {"type": "object", "additionalProperties": self._type_schema(kind.item)}
        schema = dict(PRIMITIVES[kind.python]) if kind.python is not None else {}
        for mark in kind.marks:
            if mark is _BASE64:
                schema["format"] = "byte"
            elif mark is _INT32 or (isinstance(mark, Ge) and mark.ge == _INT32_LEAST):
                schema["format"] = "int32"
        return schema


def _is_required(field: Field) -> bool:
    """Tells whether a field is required: a string, number or flag that is always encoded, unless the field says
    otherwise."""
    mark = field.type.mark(Required)
    if mark is not None:
        return mark.value
    may_be_null = field.type.optional or field.type.mark(NullIfEmpty) is not None
    always = field.type.python in (str, int, bool) and not may_be_null
    return always and field.default in ("", 0, False)


def _extensions(kind: FieldType) -> Dict:
    """Returns the extensions about patches, server-side apply and allowed values."""
    extensions: Dict = {}
    merge_key, map_keys = kind.mark(MergeKey), kind.mark(ListMapKeys)
    atomic, one_of = kind.mark(Atomic) is not None, kind.mark(OneOf)
    strategies = ["merge"] * (merge_key is not None) + ["retainKeys"] * (kind.mark(RetainKeys) is not None)
    if strategies:
        extensions["x-kubernetes-patch-strategy"] = ",".join(strategies)
    if merge_key is not None and merge_key.key:
        extensions["x-kubernetes-patch-merge-key"] = merge_key.key
    if kind.form == "list":
        keys = list(map_keys.keys) if map_keys is not None else [merge_key.key] if merge_key is not None else []
        keyed = not atomic and any(keys)
        is_set = not atomic and not keyed and (map_keys is not None or merge_key is not None)
        extensions["x-kubernetes-list-type"] = "map" if keyed else "set" if is_set else "atomic"
        if keyed:
            extensions["x-kubernetes-list-map-keys"] = keys
    elif atomic:
        extensions["x-kubernetes-map-type"] = "atomic"
    elif kind.mark(Granular) is not None:
        extensions["x-kubernetes-map-type"] = "granular"
    if one_of is not None:
        extensions["enum"] = sorted(one_of.values)
    return extensions


def kinds_by_model(resources: list[Resource[Any]], group_versions: list[GroupVersion]) -> dict[type[Model], list[Dict]]:
    """Returns the kinds of each model; options and events belong to every group."""
    kinds: dict[type[Model], list[Dict]] = {}
    for resource in resources:
        kinds[resource.model] = [gvk_of(resource.group, resource.version, resource.kind)]
    kinds[Status] = [gvk_of("", "v1", "Status")]
    for model in (DeleteOptions, WatchEvent):
        kinds[model] = [gvk_of(group, version, model.__name__) for group, version in group_versions]
    return kinds


def gvk_of(group: str, version: str, kind: str) -> Dict:
    return {"group": group, "version": version, "kind": kind}
