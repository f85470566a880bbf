"""The YAML that all readers share: several documents, keys that stand twice, the errors' lines."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.text.yaml import Document, RepeatedKey, YamlError, read_document, read_documents, to_yaml


def test_documents_are_read_one_by_one() -> None:
    documents = list(read_documents("a: &x 1\n---\n---\nb: [*x]\n".replace("*x", "2")))
    assert [document.value for document in documents] == [{"a": 1}, None, {"b": [2]}]


def test_anchors_end_with_their_document() -> None:
    with pytest.raises(YamlError, match="line 3: unknown anchor 'x' referenced"):
        list(read_documents("a: &x 1\n---\nb: *x\n"))


def test_an_empty_text_has_no_value() -> None:
    assert read_document("") == Document(None, [])


def test_repeated_keys_are_reported_and_the_last_counts() -> None:
    document = read_document("a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert document.value == {"a": 3, "b": {"c": 2}}
    assert document.repeated_keys == [RepeatedKey(2, "c"), RepeatedKey(3, "a")]
    assert str(document.repeated_keys[0]) == 'line 2: key "c" already set in map'


@pytest.mark.parametrize(
    ("text", "value"),
    [("yes", True), ("Y", True), ("off", False), ("n", False), ("yEs", "yEs"), ("'yes'", "yes"), ("!!str y", "y"),
     ("!!int '7'", 7), ("!!float 1", 1), ("!!bool on", True), ("!!null ''", None), ("! 1", "1"), ("=", "="),
     ("1e400", "1e400"), ("-", [None]), ("+", "+"), (".", "."), ("0x", "0x"), ("08:30", "08:30")],
)  # fmt: skip
def test_scalars_have_the_types_that_go_gives_them(text: str, value: Any) -> None:
    read = read_document(text).value
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("text", ["!!int x", "!!bool 1", "!!timestamp 2001-01-01", "!x y", "!!map [a]", "-.inf"])
def test_what_json_lacks_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(YamlError, match=r"^line 2: "):
        read_document(f"- a\n- {text}")


def test_what_is_written_reads_as_the_same() -> None:
    value = {"a": ["y", "1e3", "0o7", "<<", "=", "a\nb\n", "", None, True, 1, 1.5, "é"], "b": {"yes": "12:30"}}
    assert read_document(to_yaml(value)).value == value


def test_an_apostrophe_may_be_escaped() -> None:
    text = r"""- "x\'y"
---
- *unknown"""
    documents = read_documents("a: 1\n---\n" + text)
    assert [next(documents).value, next(documents).value] == [{"a": 1}, ["x'y"]]
    with pytest.raises(YamlError, match="unknown anchor"):
        next(documents)
    with pytest.raises(YamlError, match=r"line 2: found unknown escape character$"):
        read_document('a: 1\nb: "\\q"')
