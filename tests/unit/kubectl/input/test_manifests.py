"""How manifests are read."""

from __future__ import annotations

import pytest

from kubectl.input.manifests import parse_manifests
from kubectl.invocation.command import UsageError


def test_manifests_mean_what_they_mean_to_kubectl() -> None:
    text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {a: y, b: no, c: Nope, 2: 2024-01-01, on: x}}"
    assert parse_manifests(text, "f")[0].obj["data"] == {
        "a": True,
        "b": False,
        "c": "Nope",
        "2": "2024-01-01",
        "true": "x",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [}", "yaml: did not find expected node content"),
     ("a: b\nc: [}", "yaml: line 1: did not find expected node content"),
     ("a: b\nc: 'x", "yaml: line 3: found unexpected end of stream")],
)  # fmt: skip
def test_malformed_yaml_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"error parsing f: error converting YAML to JSON: ") as caught:
        parse_manifests(text, "f")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("12:30", "12:30"), ("1e3", 1000), ("1.0", 1), ("1.5", 1.5), ("0x10", 16), ("010", 8), ("0o10", 8), ("-0b11", -3),
     ("1_000", 1000), ("+3", 3), ("1.2.3", "1.2.3"), ("0.5e1", 5), (".5", 0.5), ("09", 9), ("1e400", "1e400")],
)  # fmt: skip
def test_numbers_are_what_they_are_to_kubectl(text: str, value: object) -> None:
    data = parse_manifests(f"{{apiVersion: v1, kind: A, metadata: {{}}, data: {text}}}", "f")[0].obj["data"]
    assert (data, type(data)) == (value, type(value))


def test_manifests_are_checked():
    found = parse_manifests(
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n---\n", "f"
    )
    assert [manifest.name for manifest in found] == ["a"]
    assert parse_manifests("apiVersion: v1\nkind: X\nmetadata: {}\nd: 2020-01-01", "f")[0].obj["d"] == "2020-01-01"
    for bad, why in [
        ("a: [", "error converting YAML"),
        ("- a", "invalid object to validate"),
        ("kind: Pod", "apiVersion not set"),
        ("apiVersion: v1\nkind: Pod\nx: .nan", "not representable"),
        ("a: &a [*a]", "not representable"),
        ("\x00", "error parsing"),
    ]:
        with pytest.raises(UsageError, match=why):
            parse_manifests(bad, "f")


HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n"


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("data: {op: =}", {"op": "="}),
        ("data:\n  k: first\n  k: second\n", {"k": "second"}),
        (r"""data: {k: "it\'s\tso", l: 'it\\'}""", {"k": "it's\tso", "l": "it\\\\"}),
        ("data:\n  k: |\n    one\n    two", {"k": "one\ntwo\n"}),
        ("data:\n  k: |+\n    one\n\n", {"k": "one\n\n"}),
        ("data: {k: v}\n...\nnot: [read", {"k": "v"}),
        ("data: {k: v}\n---\n# nothing\n--- # either\n", {"k": "v"}),
    ],
)
def test_a_manifest_is_read_line_by_line_as_by_kubectl(text: str, data: dict[str, str]) -> None:
    assert [manifest.obj["data"] for manifest in parse_manifests(HEAD + text, "f")] == [data]


def test_every_part_of_a_text_is_read() -> None:
    parts = [f"apiVersion: v1\nkind: A\nmetadata: {{name: {name}}}\n...\n" for name in ("one", "two")]
    assert [manifest.name for manifest in parse_manifests("---\r\n".join(parts), "f")] == ["one", "two"]
    with pytest.raises(UsageError, match=r"error parsing f: invalid Yaml document separator: \{a: b\}"):
        parse_manifests(f"{parts[0]}--- {{a: b}}", "f")


ONE = '{"apiVersion": "v1", "kind": "A", "metadata": {"name": "one"}}'
TWO = (
    r"""{"apiVersion": "v1", "kind": "A", "metadata": {"name": "two", "name": "\ud83d\ude00"}, "n": [80.0, 1.5, 1e3]}"""
)


def test_json_objects_may_follow_one_another() -> None:
    first, second = parse_manifests(f"\n{ONE}\n{TWO}\n", "f")
    assert (first.name, second.name) == ("one", "\U0001f600")
    assert [(number, type(number)) for number in second.obj["n"]] == [(80, int), (1.5, float), (1000, int)]


@pytest.mark.parametrize("rest", ["x", "{", '{"a": NaN}', "more: text"])
def test_what_follows_json_and_is_not_json_is_refused(rest: str) -> None:
    with pytest.raises(UsageError, match="error converting YAML to JSON: yaml: "):
        parse_manifests(f"{ONE}\n{rest}", "f")


def test_json_may_be_a_part_of_yaml() -> None:
    assert [manifest.name for manifest in parse_manifests(f"{ONE}\n---\n{ONE}\n", "f")] == ["one", "one"]
