"""Generated schemas and objects: no answer is a 5xx, and what is stored is as its schema wants it."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import jsonschema_rs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.definitions import DEFINITIONS, collection, custom, definition, version
from tests.kits.eventually import eventually

Dict = dict[str, Any]
OBJECTS = 6  # for each definition
NAMES = st.sampled_from(("a", "b", "c", "d"))
WORDS = st.text("xyz1 \0é\U0001f600", max_size=4)
SCALARS = st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.integers(-3, 3) | st.floats(-9, 9) | WORDS
VALUES = st.recursive(
    SCALARS, lambda of: st.lists(of, max_size=3) | st.dictionaries(NAMES, of, max_size=4), max_leaves=8
)


def maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Dict]:
    return st.fixed_dictionaries({}, optional=fields)


COMMON = {"nullable": st.booleans(), "default": VALUES, "description": WORDS}
SMALL = st.integers(-1, 3)
LEAVES = (
    st.builds(lambda more: {"type": "boolean", **more}, maybe(**COMMON))
    | st.builds(
        lambda kind, more: {"type": kind, **more},
        st.sampled_from(("integer", "number")),
        maybe(minimum=SMALL, maximum=SMALL, multipleOf=SMALL, enum=st.lists(SMALL, max_size=3), **COMMON),
    )
    | st.builds(
        lambda more: {"type": "string", **more},
        maybe(minLength=SMALL, maxLength=SMALL, pattern=st.sampled_from(("^x", "[", "(?<=a)b", "y*$")), **COMMON),
    )
)


def branches(of: st.SearchStrategy[Dict]) -> st.SearchStrategy[Dict]:
    lists = st.builds(
        lambda items, more: {"type": "array", "items": items, **more}, of, maybe(maxItems=SMALL, **COMMON)
    )
    required = st.lists(NAMES, max_size=2, unique=True)
    fields = st.dictionaries(NAMES, of, max_size=3)
    objects = st.builds(
        lambda properties, more: {"type": "object", "properties": properties, **more},
        fields,
        maybe(required=required, maxProperties=SMALL, **COMMON),
    )
    maps = st.builds(
        lambda values, more: {"type": "object", "additionalProperties": values, **more}, of, maybe(**COMMON)
    )
    return lists | objects | maps


SCHEMAS = branches(st.recursive(LEAVES, branches, max_leaves=5)).filter(lambda schema: schema["type"] == "object")


def plain(schema: Dict) -> Dict:
    """The same in JSON Schema, which has no `nullable`."""
    result = {name: value for name, value in schema.items() if name != "nullable"}
    if "items" in schema:
        result["items"] = plain(schema["items"])
    if "additionalProperties" in schema:
        result["additionalProperties"] = plain(schema["additionalProperties"])
    if "properties" in schema:
        result["properties"] = {name: plain(value) for name, value in schema["properties"].items()}
    return {"anyOf": [result, {"type": "null"}]} if schema.get("nullable") else result


def oracle(schema: Dict) -> jsonschema_rs.Draft4Validator | None:
    """None for a schema that JSON Schema does not allow, such as one with a negative `maxLength`."""
    try:
        return jsonschema_rs.Draft4Validator(plain(schema))
    except (jsonschema_rs.ValidationError, ValueError):
        return None


numbers = count()


def test_what_is_stored_follows_its_schema_and_nothing_breaks_the_server(api: ApiServer) -> None:
    served = stored = 0

    @settings(
        derandomize=True, max_examples=25, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(SCHEMAS, st.lists(VALUES, min_size=OBJECTS, max_size=OBJECTS))
    def check(schema: Dict, values: list[Any]) -> None:
        nonlocal served, stored
        plural = f"gen{next(numbers)}s"
        answer = api.http.post(DEFINITIONS, json=definition(plural, [version("v1", schema)]))
        assert answer.status_code in (201, 400, 422), answer.text
        if answer.status_code != 201:
            return
        served += 1
        path = collection(plural)
        eventually(lambda: api.http.get(path).status_code == 200, plural)
        validator = oracle(schema)
        for index, value in enumerate(values):
            body = {**custom(plural[:-1].title(), f"o{index}"), "spec": value}
            answer = api.http.post(path, json=body)
            assert answer.status_code in (201, 400, 422), (answer.text, schema, value)
            if answer.status_code == 201 and "spec" in answer.json():
                stored += 1
                spec = answer.json()["spec"]
                assert validator is None or validator.is_valid(spec), (
                    json.dumps(schema),
                    json.dumps(value),
                    json.dumps(spec),
                )
        assert api.http.get("/openapi/v3/apis/tests.example/v1").status_code == 200

    check()
    assert served >= 3
    assert stored >= 3
