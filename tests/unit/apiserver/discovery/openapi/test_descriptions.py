"""`kubectl explain` has something to say about every kind and every field."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import kubeapi
from apimachinery.catalogue import load_catalogue
from apiserver.discovery.openapi import v2
from apiserver.discovery.openapi.api import Api
from apiserver.discovery.openapi.describe import class_docs
from apiserver.main.collected import all_subresources

EVERYWHERE = {"apiVersion", "kind", "metadata", "items"}
LEAST_WORDS = 2
LONGEST = 400  # characters: explain shows it all


@pytest.fixture(scope="module")
def definitions():
    import json

    catalogue = load_catalogue()
    api = Api(catalogue, all_subresources(catalogue), "v1.35.0")
    return json.loads(b"".join((*v2.first_part(api)[:2], b"}}")))["definitions"]


def test_every_published_type_is_described(definitions):
    assert [name for name, schema in definitions.items() if not schema.get("description")] == []


def test_every_published_field_is_described(definitions):
    lacking = [
        f"{name}.{field}"
        for name, schema in definitions.items()
        for field, value in schema.get("properties", {}).items()
        if len(value.get("description", "").split()) < LEAST_WORDS
    ]
    assert lacking == []


def test_descriptions_are_sentences_of_a_length_to_read(definitions):
    for name, schema in definitions.items():
        for field, value in {"": schema, **schema.get("properties", {})}.items():
            text = value["description"]
            assert text[-1] in ".:)", (name, field, text)
            assert len(text) <= LONGEST, (name, field, text)


def test_fields_that_mean_different_things_are_not_described_alike(definitions):
    """A text belongs to one field name alone."""
    names = defaultdict(set)
    for schema in definitions.values():
        for field, value in schema.get("properties", {}).items():
            if field not in EVERYWHERE:
                names[value["description"]].add(field)
    assert {text: sorted(fields) for text, fields in names.items() if len(fields) > 1} == {}


def test_docstrings_are_read_from_source():
    docs = class_docs('class A(B):\n    """An  A."""\n\n    x: int = 0\n    """The x\n    of it."""\n    y: int = 1\n')
    assert (docs["A"].text, docs["A"].fields) == ("An A.", {"x": "The x of it."})


def test_no_string_stands_where_it_describes_nothing():
    """Such as below a field that was moved away from it."""
    for path in Path(next(iter(kubeapi.__path__))).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                check_class(path.name, node)


def check_class(file, node):
    for before, statement in zip(node.body, node.body[1:], strict=False):
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            assert isinstance(before, ast.AnnAssign | ast.Assign), f"{file}:{statement.lineno}"
