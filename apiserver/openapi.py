"""OpenAPI v3 documents, one per group version, made from the models: what `kubectl explain` and `apply` read. Pure.

The schemas come from a walk over the models' fields, not from pydantic's own generator, which would first build the
validators of every kind. Source: OpenAPI 3.0; Kubernetes documentation, "The Kubernetes API", "OpenAPI V3".
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import orjson
from pydantic.fields import FieldInfo

from apimachinery.catalogue import Catalogue
from apimachinery.meta import DeleteOptions, ListMeta
from apimachinery.model import MergeKey, Model, RetainKeys
from apimachinery.quantity import Quantity
from apimachinery.resource import Resource

Dict = dict[str, Any]

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_QUANTITY_MARK = Quantity.__metadata__[0]  # type: ignore[attr-defined]
_PRIMITIVES: dict[Any, Dict] = {
    str: {"type": "string"},
    int: {"type": "integer", "format": "int64"},
    float: {"type": "number", "format": "double"},
    bool: {"type": "boolean"},
    Any: {},
    object: {},
}
_PATCH_TYPES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
_WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
_LIST_PARAMETERS = (
    "allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion",
    "resourceVersionMatch", "timeoutSeconds", "watch",
)  # fmt: skip


def documents(catalogue: Catalogue, version: str) -> dict[str, bytes]:
    """ "api/v1" -> its document as JSON; `version` is the server's own."""
    found: dict[str, bytes] = {}
    for group, versions in catalogue.groups().items():
        for group_version in versions:
            resources = [r for r in catalogue if (r.group, r.version) == (group, group_version)]
            found[resources[0].root[1:]] = orjson.dumps(_document(resources, version), option=orjson.OPT_SORT_KEYS)
    return found


def index(docs: dict[str, bytes]) -> bytes:
    """The answer of /openapi/v3: each document's URL carries its hash, so that clients may keep it for ever."""
    paths = {name: {"serverRelativeURL": f"/openapi/v3/{name}?hash={digest(doc)}"} for name, doc in docs.items()}
    return orjson.dumps({"paths": paths})


def digest(document: bytes) -> str:
    return hashlib.sha512(document).hexdigest()[:64].upper()


def _document(resources: list[Resource[Any]], version: str) -> Dict:
    schemas: dict[str, Dict] = {}
    paths: Dict = {}
    for resource in resources:
        _add_schema(resource.model, schemas)
        schemas[schema_name(resource.model)]["x-kubernetes-group-version-kind"] = [_gvk(resource)]
        _add_list_schema(resource, schemas)
        paths |= _paths(resource)
    _add_schema(DeleteOptions, schemas)
    info = {"title": "Kubernetes", "version": version}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}


def _gvk(resource: Resource[Any]) -> Dict:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def schema_name(model: type[Model]) -> str:
    """ "io.k8s.api.apps.v1.Deployment"; helper types are named as upstream's, in the core group if none is theirs."""
    if model.__module__.startswith("apimachinery."):
        return _META + model.__name__
    group, version = _module_group(model)
    return f"io.k8s.api.{_short(group)}.{version}.{model.__name__}"


def _short(group: str) -> str:
    return group.partition(".")[0] or "core"


def _module_group(model: type[Model]) -> tuple[str, str]:
    resource = getattr(sys.modules[model.__module__], "RESOURCE", None)
    return (resource.group, resource.version) if isinstance(resource, Resource) else ("", "v1")


def _add_schema(model: type[Model], schemas: dict[str, Dict]) -> None:
    name = schema_name(model)
    if name in schemas:
        return
    schema: Dict = {"type": "object"}
    schemas[name] = schema
    own_doc = model.__dict__.get("__doc__")
    if own_doc:
        schema["description"] = " ".join(own_doc.split())
    properties = {info.alias or field: _field_schema(info, schemas) for field, info in model.model_fields.items()}
    if properties:
        schema["properties"] = properties
    required = [
        info.alias or field
        for field, info in model.model_fields.items()
        if info.annotation in (str, int, bool) and info.default in ("", 0, False)
    ]
    if required:
        schema["required"] = required


def _field_schema(info: FieldInfo, schemas: dict[str, Dict]) -> Dict:
    hints = list(_flatten([info.annotation, *info.metadata]))
    schema = _type_schema(info.annotation, schemas)
    for hint in hints:
        if isinstance(hint, MergeKey):
            schema["x-kubernetes-patch-strategy"] = "merge"
            schema["x-kubernetes-list-type"] = "map" if hint.key else "set"
            if hint.key:
                schema["x-kubernetes-patch-merge-key"] = hint.key
                schema["x-kubernetes-list-map-keys"] = [hint.key]
        elif isinstance(hint, RetainKeys):
            schema["x-kubernetes-patch-strategy"] = "retainKeys"
    if not info.is_required() and info.default not in (None, "", 0) and isinstance(info.default, str | int | bool):
        schema["default"] = info.default
    return schema


def _flatten(hints: list[Any]) -> Iterator[Any]:
    for hint in hints:
        if get_origin(hint) is Annotated:
            yield from hint.__metadata__
            yield from _flatten([hint.__origin__])
        elif get_origin(hint) in (Union, UnionType):
            yield from _flatten(list(get_args(hint)))
        else:
            yield hint


def _type_schema(hint: Any, schemas: dict[str, Dict]) -> Dict:
    origin = get_origin(hint)
    if origin is Annotated:
        if _QUANTITY_MARK in hint.__metadata__:
            return {"oneOf": [{"type": "string"}, {"type": "number"}]}
        return _type_schema(hint.__origin__, schemas)
    if origin in (Union, UnionType):
        options = [option for option in get_args(hint) if option is not type(None)]
        if len(options) == 1:
            return _type_schema(options[0], schemas)
        return {"oneOf": [_type_schema(option, schemas) for option in options], "format": "int-or-string"}
    if origin is list:
        return {"type": "array", "items": _type_schema(get_args(hint)[0], schemas)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _type_schema(get_args(hint)[1], schemas)}
    if isinstance(hint, type) and issubclass(hint, Model):
        _add_schema(hint, schemas)
        return {"allOf": [{"$ref": f"#/components/schemas/{schema_name(hint)}"}]}
    return dict(_PRIMITIVES[hint])


def _add_list_schema(resource: Resource[Any], schemas: dict[str, Dict]) -> None:
    _add_schema(ListMeta, schemas)
    item = schema_name(resource.model)
    schemas[item + "List"] = {
        "type": "object",
        "description": f"A list of {resource.plural}.",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"allOf": [{"$ref": f"#/components/schemas/{_META}ListMeta"}]},
            "items": {"type": "array", "items": {"allOf": [{"$ref": f"#/components/schemas/{item}"}]}},
        },
        "x-kubernetes-group-version-kind": [{**_gvk(resource), "kind": resource.list_kind}],
    }


def _paths(resource: Resource[Any]) -> Dict:
    scope = f"{resource.root}/namespaces/{{namespace}}" if resource.namespaced else resource.root
    collection, item = f"{scope}/{resource.plural}", f"{scope}/{resource.plural}/{{name}}"
    place = ["namespace"] if resource.namespaced else []
    found = {
        collection: _operations(resource, {"get": "list", "post": "create", "delete": "deletecollection"}, place),
        item: _operations(
            resource, {"get": "get", "put": "update", "patch": "patch", "delete": "delete"}, [*place, "name"]
        ),
    }
    if resource.namespaced:
        found[f"{resource.root}/{resource.plural}"] = _operations(resource, {"get": "list"}, [])
    if resource.status:
        methods = {"get": "get", "put": "update", "patch": "patch"}
        found[f"{item}/status"] = _operations(resource, methods, [*place, "name"])
    return found


def _operations(resource: Resource[Any], methods: dict[str, str], place: list[str]) -> Dict:
    found: Dict = {"parameters": [_parameter(name, "path") for name in place]}
    for method, action in methods.items():
        if action in resource.verbs:
            found[method] = _operation(resource, method, action)
    return found


def _operation(resource: Resource[Any], method: str, action: str) -> Dict:
    reference = f"#/components/schemas/{schema_name(resource.model)}"
    answer = {"$ref": reference + ("List" if action == "list" else "")}
    if action in ("delete", "deletecollection"):
        answer = {"type": "object"}
    operation: Dict = {
        "operationId": f"{action}{resource.group.title().replace('.', '')}{resource.version.title()}{resource.kind}",
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": answer}}}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _gvk(resource),
    }
    if action in ("create", "update", "patch"):
        kinds = _PATCH_TYPES if action == "patch" else ("application/json", "application/yaml")
        body: Dict = {"type": "object"} if action == "patch" else {"$ref": reference}
        operation["requestBody"] = {"content": {kind: {"schema": body} for kind in kinds}, "required": True}
        operation["parameters"] = [_parameter(name, "query") for name in _WRITE_PARAMETERS]
    elif action == "list":
        operation["parameters"] = [_parameter(name, "query") for name in _LIST_PARAMETERS]
    elif method == "delete":
        operation["parameters"] = [_parameter("dryRun", "query"), _parameter("propagationPolicy", "query")]
    return operation


def _parameter(name: str, where: str) -> Dict:
    schema = {"type": "string"}
    if name in ("allowWatchBookmarks", "watch"):
        schema = {"type": "boolean"}
    elif name in ("limit", "timeoutSeconds"):
        schema = {"type": "integer"}
    return {"name": name, "in": where, "required": where == "path", "schema": schema}
