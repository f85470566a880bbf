"""OpenAPI v3: one document per group version and place of discovery.

Source: OpenAPI 3.0; Kubernetes documentation, "The Kubernetes API", "OpenAPI V3".
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import orjson

from apiserver.discovery.openapi.api import Api
from apiserver.discovery.openapi.metamodels import Status, WatchEvent
from apiserver.discovery.openapi.parameters import PARAMETERS, PROXIED_PATH, parameter_of
from apiserver.discovery.openapi.paths import ListOf, Operation, Path, Shape
from apiserver.discovery.openapi.schemas import META, Schemas
from apiserver.subresources._subresource import Parameter

Dict = dict[str, Any]

_JSON_PATCH: Dict = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"type": "string", "enum": ["add", "copy", "move", "remove", "replace", "test"]},
            "path": {"type": "string"},
            "from": {"type": "string"},
            "value": {},
        },
    },
}
REASONS = {200: "OK", 201: "Created", 202: "Accepted"}


def documents(api: Api) -> Iterator[tuple[str, bytes]]:
    """Yields "api/v1" and its document as JSON, one after the other."""
    paths_by_document: dict[str, list[Path]] = {}
    for path in api.paths():
        paths_by_document.setdefault(path.document, []).append(path)
    for name, paths in sorted(paths_by_document.items()):
        yield name, _document(api, paths)


def _document(api: Api, paths: list[Path]) -> bytes:
    schemas = api.schemas(v3=True)
    document = {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": api.version},
        "paths": {path.path: orjson.Fragment(orjson.dumps(_path_item(path, schemas))) for path in sorted_paths(paths)},
        "components": {
            "schemas": dict(sorted(schemas.definitions.items())),
            "securitySchemes": {"BearerToken": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"BearerToken": []}, {}],
    }
    return orjson.dumps(document)


def sorted_paths(paths: list[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: path.path)


def _path_item(path: Path, schemas: Schemas) -> Dict:
    item: Dict = {operation.method: _operation(operation, schemas) for operation in path.operations}
    if path.parameters:
        item["parameters"] = [_parameter(path_parameter(name)) for name in path.parameters]
    return item


def path_parameter(name: str) -> Parameter:
    return PROXIED_PATH if name == "path" else PARAMETERS[name]


def _operation(operation: Operation, schemas: Schemas) -> Dict:
    result: Dict = {"tags": [operation.tag], "description": operation.description, "operationId": operation.id}
    if operation.deprecated:
        result["deprecated"] = True
    if operation.parameters:
        result["parameters"] = [_parameter(parameter_of(item)) for item in operation.parameters]
    if operation.body is not None:
        body: Dict = {"content": {kind: {"schema": _body(operation, kind, schemas)} for kind in operation.body_types}}
        result["requestBody"] = body | ({"required": True} if operation.body_required else {})
    result["responses"] = {
        str(code): {
            "description": REASONS[code],
            "content": {kind: {"schema": _answer(shapes, kind, schemas)} for kind in operation.produces},
        }
        for code, shapes in sorted(operation.answers.items())
    }
    failure = {"application/json": {"schema": schemas.reference(Status)}}
    result["responses"]["401"] = {"description": "Unauthorized", "content": failure}
    result["responses"]["default"] = {"description": "The error.", "content": failure}
    return result | operation.extensions()


def _body(operation: Operation, kind: str, schemas: Schemas) -> Dict:
    if kind == "application/json-patch+json":
        return _JSON_PATCH
    if operation.method == "patch":
        return schemas.named(META + "Patch")
    assert operation.body is not None
    return schemas.reference(operation.body)


def _answer(shapes: tuple[Shape, ...], kind: str, schemas: Schemas) -> Dict:
    if kind.endswith("stream=watch"):
        return schemas.reference(WatchEvent)
    options = [shape_schema(shape, schemas) for shape in shapes]
    return options[0] if len(options) == 1 else {"anyOf": options}


def shape_schema(shape: Shape, schemas: Schemas) -> Dict:
    if isinstance(shape, ListOf):
        return schemas.list_reference(shape.resource)
    if shape is None:
        return {"type": "string"}
    return schemas.reference(shape)


@cache
def _parameter(parameter: Parameter) -> Any:
    schema: Dict = {"type": parameter.type}
    if parameter.type == "array":
        schema["items"] = {"type": "string"}
    if parameter.values:
        schema["enum"] = list(parameter.values)
    result: Dict = {"name": parameter.name, "in": parameter.place, "description": parameter.description}
    if parameter.place == "path":
        result["required"] = True
    return orjson.Fragment(orjson.dumps(result | {"schema": schema}))
