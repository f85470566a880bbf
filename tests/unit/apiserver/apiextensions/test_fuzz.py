"""Made-up schemas and objects: nothing raises, and what is accepted is what the schema says."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema_rs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apimachinery.errors import BadRequest
from apiserver.apiextensions.schema import check_definition, compile_schema
from kubeapi.apiextensions._schema import decode_schema

Json = dict[str, Any]
SOME = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
NAMES = st.sampled_from(["a", "b", "metadata", "kind", "x-y"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "a", "80%", "2020-01-01T00:00:00Z", "x" * 20]) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({}, optional=fields)


SIZES = st.integers(0, 4)
COMMON = {
    "nullable": st.booleans(),
    "enum": st.lists(VALUES, min_size=1, max_size=2, unique_by=repr),
    "default": VALUES,
}
SCALARS = st.one_of(
    optional(**COMMON, minLength=SIZES, maxLength=SIZES, pattern=st.sampled_from(["a", "^b+$", "(a|b)*"]),
             format=st.sampled_from(["date-time", "byte", "nope"])).map(lambda s: {"type": "string", **s}),
    optional(**COMMON, minimum=SIZES, maximum=st.integers(3, 9), multipleOf=st.sampled_from([1, 2, 0.5]))
    .flatmap(lambda s: st.sampled_from([{"type": "integer", **s}, {"type": "number", **s}])),
    optional(nullable=st.booleans()).map(lambda s: {"type": "boolean", **s}),
    st.just({"x-kubernetes-int-or-string": True}),
    st.just({"x-kubernetes-preserve-unknown-fields": True}),
)  # fmt: skip


def _nested(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    lists = optional(
        **COMMON, minItems=SIZES, maxItems=SIZES, **{"x-kubernetes-list-type": st.sampled_from(["set", "atomic"])}
    )
    names = st.lists(NAMES, max_size=2, unique=True)
    objects = optional(**COMMON, required=names, minProperties=SIZES, maxProperties=SIZES,
                       **{"x-kubernetes-preserve-unknown-fields": st.just(True)})  # fmt: skip
    return st.one_of(
        st.tuples(lists, inner).map(lambda pair: {"type": "array", "items": pair[1], **pair[0]}),
        st.tuples(objects, st.dictionaries(NAMES, inner, max_size=3)).map(
            lambda pair: {"type": "object", "properties": pair[1], **pair[0]}
        ),
        st.tuples(objects, inner).map(lambda pair: {"type": "object", "additionalProperties": pair[1], **pair[0]}),
        st.tuples(objects, st.lists(SCALARS, min_size=1, max_size=2), st.sampled_from(["anyOf", "oneOf", "allOf"])).map(
            lambda three: {"type": "object", **three[0], three[2]: three[1]}
        ),
    )


SCHEMAS = st.recursive(SCALARS, _nested, max_leaves=6)


def crd(schema: Any) -> Json:
    root = {"type": "object", "properties": {"spec": schema}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": root}}
    names = {"plural": "xs", "singular": "x", "kind": "X", "listKind": "XList"}
    spec = {"group": "example.com", "scope": "Cluster", "names": names, "versions": [version], "conversion": {}}
    return {"metadata": {"name": "xs.example.com"}, "spec": spec, "status": {"storedVersions": ["v1"]}}


def as_json_schema(schema: Any) -> Any:
    """The same restrictions for a validator that others wrote, as far as it knows them."""
    if isinstance(schema, list):
        return [as_json_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {
        name: {key: as_json_schema(item) for key, item in inner.items()}
        if name == "properties"
        else as_json_schema(inner)
        if name in ("items", "additionalProperties", "anyOf", "oneOf", "allOf")
        else inner
        for name, inner in schema.items()
        if name not in ("nullable", "default", "format") and not name.startswith("x-")
    }
    if schema.get("x-kubernetes-int-or-string"):
        result["type"] = ["integer", "string"]
    if schema.get("nullable") and "type" in result:
        result["type"] = [result["type"], "null"]
    return result


@SOME
@given(SCHEMAS, VALUES, VALUES)
def test_accepted_objects_are_what_the_schema_says(schema: Json, value: Any, old: Any) -> None:
    decode_schema(schema, "schema")
    if check_definition(crd(copy.deepcopy(schema))):
        return
    root = crd(schema)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    compiled = compile_schema(root)
    obj, before = {"spec": copy.deepcopy(value)}, {"spec": copy.deepcopy(old)}
    at_once = copy.deepcopy(obj)
    for one in (obj, before):
        compiled.prune(one)
        compiled.default(one)
    compiled.complete(at_once)
    assert at_once == obj
    assert compiled.prune(obj) == [], "pruning twice is pruning once"
    known = jsonschema_rs.Draft7Validator(as_json_schema(root))
    if not compiled.validate(obj):
        assert known.is_valid(obj), f"{schema} has let {obj} pass"
    if not compiled.validate(before) and not compiled.validate(obj, before):
        assert known.is_valid(obj), f"{schema} has let {obj} pass for {before}"


ANY_SCHEMA = st.recursive(
    VALUES,
    lambda inner: st.dictionaries(
        st.sampled_from(["type", "properties", "items", "anyOf", "not", "default", "enum", "pattern", "required",
                         "additionalProperties", "x-kubernetes-validations", "x-kubernetes-list-type", "format",
                         "x-kubernetes-list-map-keys", "maxLength", "$ref", "rule", "nullable", "minimum"]),
        inner | st.sampled_from(["object", "array", "string", "map", "(", "self.a == 1"]) | st.lists(inner, max_size=2),
        max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


@SOME
@given(ANY_SCHEMA)
def test_no_schema_raises(schema: Any) -> None:
    definition = crd(schema)
    try:
        decode_schema(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"], "schema")
    except BadRequest:
        return
    check_definition(definition)
