"""The pure parts of the verbs that write."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.yaml import to_yaml
from kubectl.changes.editing import INTRO, content, header
from kubectl.changes.podtemplate import containers, pod_spec
from kubectl.changes.serverside import KEEPER, migrated
from kubectl.changes.writing import LAST_APPLIED
from kubectl.commands.advanced.apply import compute_patch
from kubectl.commands.advanced.diff import masked
from kubectl.input.manifests import parse_manifests
from kubectl.invocation.command import UsageError

ANNOTATED: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{LAST_APPLIED}": {}}}}


def entry(manager: str, operation: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": fields, **more}


def test_fields_of_client_side_apply_become_those_of_the_applier() -> None:
    own = entry("kubectl", "Apply", {"f:data": {"f:a": {}}})
    old = entry("kubectl-client-side-apply", "Update", {**ANNOTATED, "f:data": {"f:b": {}}})
    status = entry("kubelet", "Update", {"f:status": {}}, subresource="status")
    assert migrated([own, old, status], "kubectl") == [
        entry("kubectl", "Apply", {"f:data": {"f:a": {}, "f:b": {}}, **ANNOTATED}),
        status,
    ]


def test_the_first_apply_on_the_server_inherits_the_entry_itself() -> None:
    assert migrated([entry("old", "Update", ANNOTATED)], "me") == [entry("me", "Apply", ANNOTATED)]


def test_nothing_is_taken_over_where_nobody_applied_otherwise() -> None:
    assert migrated([entry("kubectl", "Apply", {}), entry("kubectl-edit", "Update", {})], "kubectl") is None
    assert migrated([entry(KEEPER, "Apply", ANNOTATED)], "kubectl") is None


def test_secrets_are_compared_without_being_shown() -> None:
    old, new = masked({"data": {"a": "1", "b": "1", "c": "1"}}, {"data": {"a": "2", "b": "1", "d": "1"}})
    assert old == {"data": {"a": "*** (before)", "b": "***", "c": "***"}}
    assert new == {"data": {"a": "*** (after)", "b": "***", "d": "***"}}
    assert masked(None, {"data": {"a": "1"}}) == (None, {"data": {"a": "***"}})


def test_the_comment_above_an_edited_object_says_why_it_is_open_again() -> None:
    text = header(INTRO, ['pods "a" was not valid:', "* spec: wrong\ntwice", ""], "yaml")
    assert text.removeprefix(INTRO) == '# pods "a" was not valid:\n# * spec: wrong\n# twice\n#\n'
    assert content(text + "kind: Pod\n") == "kind: Pod\n"
    assert header(INTRO, ["why"], "json") == ""


def test_apply_without_overwriting_refuses_what_others_have_changed() -> None:
    current = {"apiVersion": "example.com/v1", "kind": "Foo", "metadata": {"name": "a"}, "spec": {"x": 2, "y": 1}}
    wanted = {**current, "spec": {"x": 3, "y": 1}}
    assert compute_patch(current, wanted) == ({"spec": {"x": 3}}, "application/merge-patch+json")
    with pytest.raises(UsageError, match=r"the patch changes spec\.x, which"):
        compute_patch(current, wanted, overwrite=False)


@pytest.mark.parametrize(
    ("kind", "path"),
    [("Pod", ["spec"]), ("Deployment", ["spec", "template", "spec"]),
     ("CronJob", ["spec", "jobTemplate", "spec", "template", "spec"])],
)  # fmt: skip
def test_where_the_pods_of_a_kind_are(kind: str, path: list[str]) -> None:
    spec = {"initContainers": [{"name": "init"}], "containers": [{"name": "web"}, {"name": "side"}]}
    obj: dict[str, Any] = spec
    for field in reversed(path):
        obj = {field: obj}
    assert pod_spec({"kind": kind, **obj}) is spec
    assert [c["name"] for c in containers(spec, "*i*")] == ["init", "side"]
    assert pod_spec({"kind": "ConfigMap"}) is None


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
     ("a: b\nc: 'x", "yaml: line 2: found unexpected end of stream"),
     ("a: 1\na: 2", "yaml: line 2: key 'a' already set in map")],
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


def test_yaml_is_written_as_kubectl_writes_it() -> None:
    value = {"a": "=", "b": "<<", "c": "12:30", "d": "1e3", "e": "y", "f": "x\n\n", "g": "word " * 20 + "end"}
    text = to_yaml(value)
    assert text == f'a: =\nb: <<\nc: "12:30"\nd: "1e3"\ne: "y"\nf: |+\n  x\n\ng: {value["g"]}\n'
    assert to_yaml({"g": value["g"]}, 80).count("\n") == 2
