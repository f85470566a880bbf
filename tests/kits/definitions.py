"""CustomResourceDefinitions for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from apimachinery.conditions import is_true
from apimachinery.model import from_dict
from apiserver.apiextensions.kinds import CustomKind, read_kind
from kubeapi.apiextensions.customresourcedefinition import CustomResourceDefinition
from tests.kits.control_plane.apiserver import ApiClient
from tests.kits.eventually import eventually

Dict = dict[str, Any]

GROUP = "tests.example"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SPEC = {"type": "object", "properties": {"name": {"type": "string"}, "size": {"type": "integer", "default": 3}}}


def version(name: str, spec: Dict = SPEC, *, storage: bool = True, **more: Any) -> Dict:
    properties = {"spec": spec, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": properties}}
    return {"name": name, "served": True, "storage": storage, "schema": schema, "subresources": {"status": {}}, **more}


def definition(plural: str, versions: Sequence[Dict] = (), kind: str = "", **spec: Any) -> Dict:
    """The kind "Widget" for "widgets", with one version "v1" unless told otherwise."""
    names = {"plural": plural, "kind": kind or plural[:-1].title()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": names,
            "versions": list(versions) or [version("v1")],
            **spec,
        },
    }


def kind(*versions: Dict, **spec: Any) -> CustomKind:
    """The kind Widget, as a server reads it from its definition."""
    body = definition("widgets", versions, **spec)
    body["metadata"]["uid"] = "1"
    body["status"] = {
        "conditions": [{"type": "Established", "status": "True"}],
        "acceptedNames": {"plural": "widgets", "kind": "Widget"},
    }
    found = read_kind(orjson.dumps(body))
    assert found is not None
    return found


def custom(kind: str, name: str, spec: Dict | None = None, version: str = "v1", **meta: Any) -> Dict:
    return {
        "apiVersion": f"{GROUP}/{version}",
        "kind": kind,
        "metadata": {"name": name, **meta},
        "spec": spec or {"name": name},
    }


def collection(plural: str, version: str = "v1") -> str:
    return f"/apis/{GROUP}/{version}/namespaces/default/{plural}"


def create(api: ApiClient, path: str, body: Dict) -> Dict:
    answer = api.http.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def establish(api: ApiClient, body: Dict) -> str:
    """Creates a definition and waits until its status says that it is served; returns the definition's path."""
    create(api, DEFINITIONS, body)
    path = f"{DEFINITIONS}/{body['metadata']['name']}"

    def established() -> bool:
        stored = from_dict(CustomResourceDefinition, api.http.get(path).json())
        return is_true(stored.status.conditions, "Established")

    eventually(established)
    return path
