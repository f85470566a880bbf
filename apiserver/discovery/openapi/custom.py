"""JSON schemas of custom resources, in the spelling of OpenAPI v2 or v3. Pure.

A structural schema is nearly one already: what it leaves to the server, such as the metadata, is added. OpenAPI v2
lacks some of its words, and clients hold objects to what a v2 document says: there a schema says less rather than too
much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apimachinery.resource import Resource

Dict = dict[str, Any]
Change = Callable[[Dict], Dict]

_V2_TEXT = (
    "title description type format default properties items additionalProperties required enum pattern multipleOf "
    "maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength maxItems minItems uniqueItems maxProperties "
    "minProperties"
)
_V2_WORDS = frozenset(_V2_TEXT.split())
_PRESERVE, _INT_OR_STRING = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"


def custom_name(resource: Resource[Any]) -> str:
    """ "com.example.v1.Widget"."""
    return ".".join([*reversed(resource.group.split(".")), resource.version, resource.kind])


def object_schema(schema: Dict, identity: Dict, gvk: Dict, *, v3: bool) -> Dict:
    """The schema of a whole object. `identity` are the schemas of apiVersion, kind and metadata."""
    if not v3 and schema.get(_PRESERVE):
        return {"type": "object", "x-kubernetes-group-version-kind": [gvk]}  # old clients refuse what isn't named
    own = walk(schema, lambda node: _with_identity(node, identity))
    if not v3:
        own = walk(own, _in_v2)
    properties = {**(own.get("properties") or {}), **identity}
    return {**own, "type": "object", "properties": properties, "x-kubernetes-group-version-kind": [gvk]}


def walk(schema: Dict, change: Change) -> Dict:
    """Returns a copy with each schema in it changed, inner ones first."""
    result = dict(schema)
    properties, items, further = (schema.get(name) for name in ("properties", "items", "additionalProperties"))
    if isinstance(properties, dict):
        result["properties"] = {name: walk(inner, change) for name, inner in properties.items()}
    if isinstance(items, dict):
        result["items"] = walk(items, change)
    if isinstance(further, dict):
        result["additionalProperties"] = walk(further, change)
    return change(result)


def _with_identity(node: Dict, identity: Dict) -> Dict:
    if not node.get("x-kubernetes-embedded-resource"):
        return node
    return node | {"properties": {**(node.get("properties") or {}), **identity}}


def _in_v2(node: Dict) -> Dict:
    """A schema without the words that OpenAPI v2 lacks. Where values of several types are allowed, it names none."""
    kept = {name: value for name, value in node.items() if name in _V2_WORDS or name.startswith("x-kubernetes-")}
    kept.pop("x-kubernetes-validations", None)
    if kept.get("additionalProperties") in (True, False):
        del kept["additionalProperties"]
    if node.get("nullable") or node.get(_PRESERVE) or node.get(_INT_OR_STRING):
        kept = {name: kept[name] for name in ("description", _PRESERVE, _INT_OR_STRING) if name in kept}
    return kept
