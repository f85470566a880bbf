"""Kustomizations, case by case: what is built, in which order, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl.cli.command import UsageError
from kubectl.kustomize.build import build
from kubectl.kustomize.hashing import content_hash
from kubectl.kustomize.patches import merge

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: side, image: side:1}
      - name: web
        image: nginx:1
        env: [{name: A, value: a}, {name: B, value: b}]
        envFrom: [{configMapRef: {name: conf}}]
"""
CONF = "configMapGenerator: [{name: conf, literals: [a=b]}]\n"


def write(folder: Path, **files: str) -> Path:
    """`base__file_yaml="…"` is base/file.yaml."""
    for name, text in files.items():
        path = folder / (name.replace("__", "/").replace("_yaml", ".yaml"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def built(folder: Path, kustomization: str, **files: str) -> dict[str, dict[str, Any]]:
    """By kind; every kind comes once in these tests."""
    write(folder, kustomization_yaml=kustomization, d_yaml=DEPLOYMENT, **files)
    return {obj["kind"]: obj for obj in yaml.safe_load_all(build(str(folder), lambda text: None))}


def refusal(folder: Path, kustomization: str, **files: str) -> str:
    with pytest.raises(UsageError) as caught:
        built(folder, kustomization, **files)
    return str(caught.value)


def containers(objects: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    return found


def test_names_end_with_a_hash_of_the_content_that_references_follow(tmp_path: Path) -> None:
    objects = built(tmp_path, "resources: [d.yaml]\nnamePrefix: p-\n" + CONF)
    name = objects["ConfigMap"]["metadata"]["name"]
    assert name == "p-conf-" + content_hash({"kind": "ConfigMap", "data": {"a": "b"}})
    assert containers(objects)[1]["envFrom"] == [{"configMapRef": {"name": name}}]


@pytest.mark.parametrize(
    ("obj", "name", "hashed"),
    [  # as the real programs compute them
        ({"kind": "ConfigMap", "data": {"a": "z", "c": "d", "e": "f g", "o": "h\n"}}, "", "6gfm65mcgd"),
        ({"kind": "Secret", "type": "Opaque", "data": {"p": "cQ=="}}, "", "hb2dth72f6"),
        ({"kind": "ConfigMap", "data": {}}, "x", "62ctbmbfd2"),
        ({"kind": "Secret", "data": {"a": "Yg=="}}, "x", "k694gm4m9h"),
    ],
)
def test_hashes(obj: dict[str, Any], name: str, hashed: str) -> None:
    assert content_hash(obj, name) == hashed


def test_an_overlay_changes_what_its_base_has_made(tmp_path: Path) -> None:
    overlay = """
resources: [base]
namespace: prod
nameSuffix: -v1
commonAnnotations: {note: x}
labels: [{pairs: {team: t}, includeSelectors: true}]
images: [{name: nginx, newName: reg:5000/nginx, newTag: "2"}, {name: side, digest: "sha256:1"}]
replicas: [{name: web, count: 5}]
configMapGenerator: [{name: conf, behavior: merge, literals: [a=z, n=1]}]
"""
    base = "resources: [d.yaml]\nnamePrefix: base-\n" + CONF
    objects = built(tmp_path, overlay, base__kustomization_yaml=base, base__d_yaml=DEPLOYMENT)
    assert objects["ConfigMap"]["data"] == {"a": "z", "n": "1"}
    deployment = objects["Deployment"]
    assert deployment["metadata"] == {
        "name": "base-web-v1", "namespace": "prod", "labels": {"team": "t"}, "annotations": {"note": "x"},
    }  # fmt: skip
    spec = deployment["spec"]
    assert spec["replicas"] == 5
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"] == {"app": "web", "team": "t"}
    assert [c["image"] for c in containers(objects)] == ["side@sha256:1", "reg:5000/nginx:2"]
    assert containers(objects)[1]["envFrom"][0]["configMapRef"]["name"] == objects["ConfigMap"]["metadata"]["name"]


def test_a_strategic_patch_merges_by_key_and_what_it_adds_comes_first(tmp_path: Path) -> None:
    patch = """
patches:
- patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec: {template: {spec: {containers: [
      {name: web, env: [{name: C, value: c}, {name: A, $patch: delete}]}, {name: new, image: n}]}}}
"""
    found = containers(built(tmp_path, "resources: [d.yaml]\n" + patch))
    assert [c["name"] for c in found] == ["web", "new", "side"]
    assert [e["name"] for e in found[0]["env"]] == ["C", "B"]


def test_directives_of_patches() -> None:
    doc = {"a": {"b": 1, "c": 2}, "containers": [{"name": "x"}, {"name": "y"}]}
    assert merge(doc, {"a": {"$patch": "replace", "d": 3}}, known=True)["a"] == {"d": 3}
    assert merge(doc, {"a": {"$patch": "delete"}}, known=True).keys() == {"containers"}
    assert merge(doc, {"a": {"b": None}}, known=True)["a"] == {"c": 2}
    replaced = merge(doc, {"containers": [{"$patch": "replace"}, {"name": "z"}]}, known=True)
    assert replaced["containers"] == [{"name": "z"}]
    assert merge(doc, {"containers": [{"name": "z"}]}, known=False)["containers"] == [{"name": "z"}]
    with pytest.raises(UsageError, match="setElementOrder"):
        merge(doc, {"$setElementOrder/containers": []}, known=True)


def test_json_patches_reach_all_that_the_target_means(tmp_path: Path) -> None:
    patch = """
patches:
- target: {kind: Deploy.*|ConfigMap}
  patch: |-
    - {op: add, path: /metadata/labels, value: {x: "y"}}
- {target: {kind: Nothing}, path: p.yaml}
"""
    objects = built(tmp_path, "resources: [d.yaml]\n" + CONF + patch, p_yaml="- {op: remove, path: /spec}\n")
    assert all(obj["metadata"]["labels"] == {"x": "y"} for obj in objects.values())


def test_a_component_changes_what_surrounds_it(tmp_path: Path) -> None:
    component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: c-\n" + CONF
    objects = built(tmp_path, "resources: [d.yaml]\ncomponents: [part]\n", part__kustomization_yaml=component)
    assert objects["Deployment"]["metadata"]["name"] == "c-web"
    assert objects["ConfigMap"]["metadata"]["name"].startswith("c-conf-")


def test_what_others_need_comes_first_unless_the_order_of_the_files_is_asked_for(tmp_path: Path) -> None:
    more = "\n---\n".join(f"{{apiVersion: {v}, kind: {k}, metadata: {{name: n}}}}" for v, k in [
        ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"), ("v1", "Pod"), ("v1", "Service"),
        ("v1", "Namespace"),
    ])  # fmt: skip
    kinds = list(built(tmp_path, "resources: [d.yaml, m.yaml]\n", m_yaml=more))
    assert kinds == ["Namespace", "Service", "Deployment", "Pod", "ValidatingWebhookConfiguration"]
    kinds = list(built(tmp_path, "resources: [d.yaml, m.yaml]\nsortOptions: {order: fifo}\n", m_yaml=more))
    assert kinds[0] == "Deployment"


@pytest.mark.parametrize(
    ("kustomization", "said"),
    [
        ("", "kustomization.yaml is empty"),
        ("foo: bar", 'invalid Kustomization: json: unknown field "foo"'),
        ("commonLabels: {a: 1}", "cannot unmarshal number into Go struct field Kustomization.commonLabels of"),
        ("images: [{name: a, newTag: 1.5}]", "Image.images.newTag of type string"),
        ("helmCharts: [{name: x}]\nvars: [x]", "not supported by mini-kubectl: helmCharts, vars"),
        ("resources: [https://example.com/x]", "resources from other machines are not supported"),
        ("resources: ['github.com/a/b?ref=v1']", "resources from other machines are not supported"),
        ("resources: [../outside.yaml]", "is not in or below"),
        ("resources: [nope.yaml]", "no such file or directory"),
        ("resources: [d.yaml, d.yaml]", "already registered id: Deployment.v1.apps/web.[noNs]"),
        ("resources: ['.']", "cycle detected"),
        ("replicas: [{name: x, count: 1}]", "resource with name x does not match"),
        ("configMapGenerator: [{name: c, literals: [a=1, a=2]}]", "illegally repeats the key `a`"),
        ("configMapGenerator: [{name: c, literals: [a]}]", "invalid literal source a, expected key=value"),
        ("configMapGenerator: [{name: c, behavior: merge}]", "does not exist; cannot merge or replace"),
        ("configMapGenerator: [{name: c, type: x}]", 'unknown field "type"'),
        ("labels: [{pairs: {a: b}, fields: []}]", "not supported by mini-kubectl in labels: fields"),
        ("patches: [{patch: '{kind: A, apiVersion: v1, metadata: {name: b}}'}]", "no matches for Id A.v1.[noGrp]/b.["),
    ],
)  # fmt: skip
def test_refusals(tmp_path: Path, kustomization: str, said: str) -> None:
    write(tmp_path, outside_yaml=DEPLOYMENT)
    assert said in refusal(tmp_path / "k", kustomization)


def test_yes_is_text_in_a_resource_as_kustomize_reads_it(tmp_path: Path) -> None:
    more = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: yes, n: on, t: 2024-01-01}}"
    assert built(tmp_path, "resources: [m.yaml]\n", m_yaml=more)["ConfigMap"]["data"] == {
        "a": "yes", "n": "on", "t": "2024-01-01",
    }  # fmt: skip
