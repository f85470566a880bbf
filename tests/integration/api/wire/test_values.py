"""Values in other spellings: null, amounts, base64, and what is for writes only."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiClient

MERGE = {"content-type": "application/merge-patch+json"}
STRATEGIC = {"content-type": "application/strategic-merge-patch+json"}
APPLY = {"content-type": "application/apply-patch+yaml"}


def base64(text: str) -> str:
    return b64encode(text.encode()).decode()


def deployment(requests: dict[str, Any], limits: dict[str, Any], size_limit: str) -> dict[str, Any]:
    container = {"name": "c", "image": "nothing", "resources": {"requests": requests, "limits": limits}}
    volumes = [{"name": "v", "emptyDir": {"sizeLimit": size_limit}}]
    template = {"metadata": {"labels": {"a": "d"}}, "spec": {"containers": [container], "volumes": volumes}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "amounts"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "d"}}, "template": template},
    }


WRITTEN = deployment(
    {"cpu": 0.5, "memory": "1024Mi", "ephemeral-storage": "1000000000"},
    {"cpu": "1.2", "memory": "1.5Gi", "ephemeral-storage": "1e9"},
    "0.5Gi",
)
STORED = deployment(
    {"cpu": "500m", "memory": "1Gi", "ephemeral-storage": "1G"},
    {"cpu": "1200m", "memory": "1536Mi", "ephemeral-storage": "1e9"},
    "512Mi",
)


def test_an_amount_in_another_spelling_is_no_change(api: ApiClient, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    created = api.http.post(path, json=WRITTEN).json()
    found, expected = created["spec"]["template"]["spec"], STORED["spec"]["template"]["spec"]
    assert found["containers"][0]["resources"] == expected["containers"][0]["resources"]
    assert found["volumes"] == expected["volumes"]
    patch = {"spec": {"template": {"spec": WRITTEN["spec"]["template"]["spec"]}}}
    for answer in (
        api.http.put(f"{path}/amounts", json=WRITTEN),
        api.http.patch(f"{path}/amounts", json=patch, headers=STRATEGIC),
    ):
        assert answer.json()["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]
    query = {"fieldManager": "someone", "force": "true"}
    applied = [
        api.http.patch(f"{path}/amounts", json=manifest, headers=APPLY, params=query).json()["metadata"]
        for manifest in (WRITTEN, WRITTEN, STORED)
    ]
    assert [meta["generation"] for meta in applied] == [1, 1, 1]
    assert len({meta["resourceVersion"] for meta in applied}) == 1


def test_a_text_that_is_taken_from_a_secrets_stringdata_stays_in_its_data(api: ApiClient, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/secrets"
    body = {"metadata": {"name": "s"}, "data": {"a": base64("lost")}, "stringData": {"a": "one", "b": "two"}}
    created = api.http.post(path, json=body).json()
    assert created["data"] == {"a": base64("one"), "b": base64("two")}
    assert "stringData" not in created
    again = api.http.patch(f"{path}/s", json={"stringData": {"a": "one", "b": None}}, headers=STRATEGIC).json()
    assert again["data"] == created["data"]
    assert again["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]
    removed = api.http.patch(f"{path}/s", json={"data": {"b": None}}, headers=STRATEGIC).json()
    assert removed["data"] == {"a": base64("one")}


@pytest.mark.parametrize(
    ("given", "stored"),
    [("b25l\nb25l\n", "b25lb25l"), ("b25l\r\n", "b25l"), ("eB==", "eA=="), (None, ""), ("", "")],
)
def test_base64_is_stored_in_its_usual_form(api: ApiClient, namespace: str, given: str | None, stored: str) -> None:
    body = {"metadata": {"generateName": "s-"}, "data": {"a": given}}
    assert api.http.post(f"/api/v1/namespaces/{namespace}/secrets", json=body).json()["data"] == {"a": stored}


@pytest.mark.parametrize("text", ["not base64!", "b25", "b25 l", "é"])
def test_what_is_not_base64_is_refused(api: ApiClient, namespace: str, text: str) -> None:
    body = {"metadata": {"name": "bad"}, "data": {"a": text}}
    answer = api.http.post(f"/api/v1/namespaces/{namespace}/secrets", json=body)
    assert answer.status_code == 400
    assert "illegal base64 data" in answer.json()["message"]


def test_null_is_an_absent_field(api: ApiClient, namespace: str) -> None:
    strict = {"fieldValidation": "Strict"}
    container = {
        "name": "c",
        "image": "nothing",
        **dict.fromkeys(("env", "args", "ports", "resources", "livenessProbe")),
    }
    template = {
        "metadata": {"labels": {"a": "d"}, "creationTimestamp": None},
        "spec": {
            "affinity": {"nodeAffinity": None, "podAffinity": None},
            "nodeSelector": None,
            "initContainers": None,
            "volumes": [{"name": "bare"}, {"name": "nulled", "emptyDir": None}],
            "containers": [container],
        },
    }
    spec = {"replicas": None, "strategy": None, "selector": {"matchLabels": {"a": "d"}}, "template": template}
    body = {"metadata": {"name": "d", "annotations": None}, "spec": {**spec, "revisionHistoryLimit": None}}
    answer = api.http.post(f"/apis/apps/v1/namespaces/{namespace}/deployments", json=body, params=strict)
    assert (answer.status_code, answer.headers.get("warning")) == (201, None)
    found = answer.json()["spec"]
    assert (found["replicas"], found["strategy"]["type"], found["revisionHistoryLimit"]) == (1, "RollingUpdate", 10)
    pod = found["template"]["spec"]
    assert [sorted(volume) for volume in pod["volumes"]] == [["emptyDir", "name"], ["emptyDir", "name"]]
    assert not {"env", "args", "ports", "livenessProbe"} & pod["containers"][0].keys()
    port = {"port": 80, "nodePort": None, "targetPort": None, "protocol": None}
    body = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "clusterIP": None, "ports": [port]}}
    answer = api.http.post(f"/api/v1/namespaces/{namespace}/services", json=body, params=strict)
    assert (answer.status_code, answer.json()["spec"]["ports"][0]["targetPort"]) == (201, 80)


def test_null_in_a_map_is_the_empty_value(api: ApiClient, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    answer = api.http.post(f"{path}/configmaps", json={"metadata": {"name": "m"}, "data": {"a": None, "b": "x"}})
    assert answer.json()["data"] == {"a": "", "b": "x"}
    patched = api.http.patch(f"{path}/configmaps/m", json={"data": {"a": None}}, headers=MERGE)
    assert patched.json()["data"] == {"b": "x"}
    resources = {"requests": {"cpu": "100m"}, "limits": {"cpu": None}}
    container = {"name": "c", "image": "nothing", "args": [None], "resources": resources}
    pod: dict[str, Any] = {"metadata": {"name": "p"}, "spec": {"containers": [container]}}
    answer = api.http.post(f"{path}/pods", json=pod)
    assert answer.status_code == 422
    assert "must be less than or equal to cpu limit of 0" in answer.json()["message"]
    del resources["requests"]
    found = api.http.post(f"{path}/pods", json=pod).json()["spec"]["containers"][0]
    assert (found["args"], found["resources"]["limits"]) == ([""], {"cpu": "0"})
