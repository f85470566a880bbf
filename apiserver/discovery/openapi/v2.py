"""OpenAPI v2: everything in one document, as JSON and as protobuf. Older kubectls read it, and client generators.

Source: OpenAPI 2.0 (Swagger).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from apiserver.discovery.openapi.api import Api
from apiserver.discovery.openapi.parameters import parameter_of
from apiserver.discovery.openapi.paths import ListOf, Operation, Path
from apiserver.discovery.openapi.schemas import META, Schemas
from apiserver.discovery.openapi.v2_protobuf import document_bytes
from apiserver.discovery.openapi.v3 import REASONS, path_parameter, shape_schema, sorted_paths
from apiserver.subresources._subresource import Parameter

Dict = dict[str, Any]
Items = Iterator[tuple[str, Dict]]


class Part(NamedTuple):
    """A part of the document, encoded: members of its `paths` and `definitions`, and both as protobuf."""

    paths: bytes
    definitions: bytes
    protobuf: bytes


def first_part(api: Api) -> Part:
    """The head of the document, and the kinds that are always there."""
    schemas = api.schemas(v3=False)
    head = orjson.dumps(_head(api))[:-1]
    paths, definitions = dict(_paths(api, schemas)), dict(_definitions(schemas))
    protobuf = document_bytes(_head(api), paths.items(), definitions.items())
    return Part(b'%b,"paths":{%b' % (head, _joined(paths)), b'},"definitions":{' + _joined(definitions), protobuf)


def further_part(api: Api, names: Iterable[str]) -> Part:
    """What custom kinds add: a message of protobuf behind another adds to it, too. `names` are the definitions that
    they have brought."""
    schemas = api.schemas(v3=False)
    paths = dict(_paths(api, schemas))
    definitions = {name: schemas.definitions[name] for name in names}
    protobuf = document_bytes({}, paths.items(), definitions.items())
    return Part(_further(paths), _further(definitions), protobuf)


def foreign_part(document: Dict, group_version: tuple[str, str], taken: set[str]) -> Part:
    """What another server says of one version that it serves: its paths, and the definitions that they refer to.

    Definitions that are `taken` stay as they are; the others are added to them. Raises: KeyError, TypeError and
    AttributeError for what is not OpenAPI v2, or can't be said in its protobuf.
    """
    prefix = "/apis/{}/{}/".format(*group_version)
    paths = {name: item for name, item in document["paths"].items() if f"{name}/".startswith(prefix)}
    all_definitions, definitions = document.get("definitions") or {}, {}
    waiting: list[Any] = [paths]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).removeprefix("#/definitions/")
            if name in all_definitions and name not in taken:
                taken.add(name)
                definitions[name] = all_definitions[name]
                waiting.append(all_definitions[name])
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    protobuf = document_bytes({}, paths.items(), definitions.items())
    return Part(_further(paths), _further(definitions), protobuf)


def _further(items: Mapping[str, Dict]) -> bytes:
    return b"," + _joined(items) if items else b""


def _joined(items: Mapping[str, Dict]) -> bytes:
    return b",".join(orjson.dumps(name) + b":" + orjson.dumps(value) for name, value in items.items())


def _head(api: Api) -> Dict:
    token = {"type": "apiKey", "name": "authorization", "in": "header", "description": "Bearer and a token."}
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": api.version},
        "securityDefinitions": {"BearerToken": token},
        "security": [{"BearerToken": []}],
    }


def _definitions(schemas: Schemas) -> Items:
    """Yields the definitions. All paths must be made before, as they decide which ones are needed."""
    yield from sorted(schemas.definitions.items())


def _paths(api: Api, schemas: Schemas) -> Items:
    for path in sorted_paths(list(api.paths())):
        yield path.path, _path_item(path, schemas)


def _path_item(path: Path, schemas: Schemas) -> Dict:
    item: Dict = {operation.method: _operation(operation, schemas) for operation in path.operations}
    if path.parameters:
        item["parameters"] = [_parameter(path_parameter(name)) for name in path.parameters]
    return item


def _operation(operation: Operation, schemas: Schemas) -> Dict:
    parameters = [_parameter(parameter_of(item)) for item in operation.parameters]
    result: Dict = {
        "tags": [operation.tag],
        "description": operation.description,
        "operationId": operation.id,
        "consumes": list(operation.body_types) or ["*/*"],
        "produces": list(operation.produces),
        "schemes": ["https"],
    }
    if operation.body is not None:
        schema = schemas.named(META + "Patch") if operation.method == "patch" else schemas.reference(operation.body)
        body: Dict = {"name": "body", "in": "body", "schema": schema}
        parameters.insert(0, body | ({"required": True} if operation.body_required else {}))
    if parameters:
        result["parameters"] = parameters
    result["responses"] = {
        str(code): {"description": REASONS[code], "schema": shape_schema(_only(shapes), schemas)}
        for code, shapes in sorted(operation.answers.items())
    }
    result["responses"]["401"] = {"description": "Unauthorized"}
    if operation.deprecated:
        result["deprecated"] = True
    return result | operation.extensions()


def _only(shapes: tuple[Any, ...]) -> Any:
    """Returns the only shape that version 2 can name. The deletion of a collection answers a Status, as upstream
    says."""
    first = shapes[0]
    return shapes[-1] if isinstance(first, ListOf) else first


def _parameter(parameter: Parameter) -> Dict:
    result: Dict = {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.description,
        "type": parameter.type,
        "uniqueItems": True,
    }
    if parameter.type == "array":
        result |= {"items": {"type": "string"}, "collectionFormat": "multi"}
        del result["uniqueItems"]
    if parameter.values:
        result["enum"] = list(parameter.values)
    if parameter.place == "path":
        result["required"] = True
    return result
