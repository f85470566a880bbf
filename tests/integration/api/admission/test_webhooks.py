"""Admission webhooks: who is asked about what, and what becomes of each answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.kits.admission_server import ALLOW, AdmissionServer, admission_server, patch
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.eventually import eventually

Dict = dict[str, Any]

REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"
MARK = patch({"op": "add", "path": "/data", "value": {"mark": "first"}})
EVERYTHING = [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}]


@pytest.fixture
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdmissionServer]:
    with admission_server(tmp_path_factory.mktemp("hooks")) as server:
        yield server


@contextmanager
def configured(api: ApiServer, kind: str, *webhooks: Dict, name: str = "test") -> Iterator[None]:
    """`kind` is "validating" or "mutating". The lists have the server's cache catch up: it asks what is in there."""
    url = f"{REGISTRATION}/{kind}webhookconfigurations"
    answer = api.http.post(url, json={"metadata": {"name": name}, "webhooks": list(webhooks)})
    assert answer.status_code == 201, answer.text
    assert api.http.get(url).json()["items"]
    try:
        yield
    finally:
        assert api.http.delete(f"{url}/{name}").status_code == 200
        api.http.get(url)


def create(api: ApiServer, name: str, **more: Any) -> Any:
    return api.http.post(MAPS, json={"metadata": {"name": name, **more}})


def test_a_validating_webhook_refuses_with_its_own_words(api: ApiServer, hooks: AdmissionServer) -> None:
    status = {"code": 418, "reason": "Teapot", "message": "no tea here"}
    hooks.answers["/deny"] = lambda request: {"allowed": False, "status": status, "warnings": ["it is late"]}
    with configured(api, "validating", hooks.webhook("/deny")):
        refused = create(api, "tea", labels={"a": "b"})
        told = api.kubectl("create", "configmap", "tea").stderr
    assert refused.status_code == 418
    assert refused.json()["message"] == 'admission webhook "deny.test.example" denied the request: no tea here'
    assert refused.json()["reason"] == "Teapot"
    assert 'admission webhook "deny.test.example" denied the request: no tea here' in told
    (request, _) = hooks.asked
    assert request["object"]["metadata"]["labels"] == {"a": "b"}
    assert (request["operation"], request["name"], request["namespace"]) == ("CREATE", "tea", "default")
    assert request["kind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert request["userInfo"]["groups"] == ["system:masters", "system:authenticated"]
    assert (request["oldObject"], request["dryRun"]) == (None, False)
    assert create(api, "tea").status_code == 201  # once the configuration is gone
    api.http.delete(f"{MAPS}/tea")


def test_mutating_webhooks_change_the_object_in_turn(api: ApiServer, hooks: AdmissionServer) -> None:
    """The first sees what the second has done only if it wants to be asked again."""
    hooks.answers["/first"] = lambda request: ALLOW if request["object"].get("data") else MARK
    hooks.answers["/second"] = lambda request: patch({"op": "add", "path": "/data/second", "value": "yes"})
    again = hooks.webhook("/first", reinvocationPolicy="IfNeeded")
    with configured(api, "mutating", again, hooks.webhook("/second")):
        made = create(api, "marked")
    assert made.json()["data"] == {"mark": "first", "second": "yes"}
    assert [request["path"] for request in hooks.asked] == ["/first", "/second", "/first"]
    api.http.delete(f"{MAPS}/marked")


def test_what_a_webhook_adds_is_completed_and_policies_see_it(api: ApiServer, hooks: AdmissionServer) -> None:
    """As the chain is run once more: a policy that wants it counts the webhook's key, and limits fill its container."""
    count = "Object{metadata: Object.metadata{labels: {'containers': string(object.spec.containers.size())}}}"
    rules = [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]
    policy = {
        "matchConstraints": {"resourceRules": rules},
        "reinvocationPolicy": "IfNeeded",
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": count}}],
    }
    limit = {"limits": [{"type": "Container", "default": {"memory": "1Gi"}}]}
    created = []
    for path, body in (
        (f"{REGISTRATION}/mutatingadmissionpolicies", {"metadata": {"name": "count"}, "spec": policy}),
        (f"{REGISTRATION}/mutatingadmissionpolicybindings",
         {"metadata": {"name": "count"}, "spec": {"policyName": "count"}}),
        ("/api/v1/namespaces/default/limitranges", {"metadata": {"name": "count"}, "spec": limit}),
    ):  # fmt: skip
        assert api.http.post(path, json=body).status_code == 201
        created.append(f"{path}/count")
    side = {"name": "side", "image": "i"}
    hooks.answers["/side"] = lambda request: patch({"op": "add", "path": "/spec/containers/-", "value": side})
    pods = "/api/v1/namespaces/default/pods"
    pod = {"metadata": {"name": "one"}, "spec": {"containers": [{"name": "app", "image": "i"}]}}

    def made() -> Any:
        return api.http.post(pods, params={"dryRun": "All"}, json=pod).json()

    eventually(lambda: made()["metadata"].get("labels") == {"containers": "1"}, "the policy is in force")
    with configured(api, "mutating", hooks.webhook("/side", rules=rules, sideEffects="None")):
        shown = made()
    assert shown["metadata"]["labels"] == {"containers": "2"}
    assert [each["resources"]["limits"] for each in shown["spec"]["containers"]] == [{"memory": "1Gi"}] * 2
    for path in created:
        assert api.http.delete(path).status_code == 200


def test_the_changed_object_is_validated_and_defaulted(api: ApiServer, hooks: AdmissionServer) -> None:
    hooks.answers["/bad"] = lambda request: patch({"op": "add", "path": "/data", "value": {"no/key": "x"}})
    with configured(api, "mutating", hooks.webhook("/bad")):
        refused = create(api, "bad")
    assert refused.status_code == 422
    assert "data[no/key]" in refused.json()["message"]


def test_deletions_and_updates_show_the_old_object(api: ApiServer, hooks: AdmissionServer) -> None:
    rules = [{"operations": ["UPDATE", "DELETE"], "apiGroups": [""], "apiVersions": ["*"], "resources": ["configmaps"]}]
    create(api, "old", labels={"state": "before"})
    with configured(api, "validating", hooks.webhook("/see", rules=rules)):
        api.http.patch(
            f"{MAPS}/old",
            content=json.dumps({"metadata": {"labels": {"state": "after"}}}),
            headers={"content-type": "application/merge-patch+json"},
        )
        api.http.delete(f"{MAPS}/old")
    update, deletion = hooks.asked
    assert update["oldObject"]["metadata"]["labels"] == {"state": "before"}
    assert update["object"]["metadata"]["labels"] == {"state": "after"}
    assert (deletion["operation"], deletion["object"]) == ("DELETE", None)
    assert deletion["oldObject"]["metadata"]["labels"] == {"state": "after"}


def test_selectors_and_conditions_leave_requests_out(api: ApiServer, hooks: AdmissionServer) -> None:
    here = {"matchLabels": {"kubernetes.io/metadata.name": "default"}}
    elsewhere = {"matchLabels": {"kubernetes.io/metadata.name": "elsewhere"}}
    wanted = {"matchLabels": {"wanted": "yes"}}
    condition = [{"name": "named", "expression": "object.metadata.name.startsWith('x')"}]
    webhooks = [
        hooks.webhook("/here", namespaceSelector=here),
        hooks.webhook("/elsewhere", namespaceSelector=elsewhere),
        hooks.webhook("/wanted", objectSelector=wanted),
        hooks.webhook("/conditional", matchConditions=condition),
    ]
    with configured(api, "validating", *webhooks):
        assert create(api, "plain").status_code == 201
        assert {request["path"] for request in hooks.asked} == {"/here"}
        hooks.asked.clear()
        assert create(api, "x-wanted", labels={"wanted": "yes"}).status_code == 201
        assert {request["path"] for request in hooks.asked} == {"/here", "/wanted", "/conditional"}
    for name in ("plain", "x-wanted"):
        api.http.delete(f"{MAPS}/{name}")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (500, "the server answered 500"),
        (302, "the server answered 302"),
        (None, "failed to call webhook: Post"),
        (b"<html></html>", "the answer is not JSON"),
        (b"[]", "the answer is not an object"),
        (b"{}", "webhook response was absent"),
        ({"uid": "other", "allowed": True}, 'expected response.uid="'),
        ({"allowed": True, "patch": "eA=="}, "response.patch but not response.patchType"),
        ({"allowed": True, "patch": "eA==", "patchType": "Merge"}, "invalid response.patchType of Merge"),
        ({"allowed": True, "patch": "!", "patchType": "JSONPatch"}, "no JSON patch in base64"),
        (patch(*[{"op": "test", "path": "/kind", "value": "ConfigMap"}] * 10_001), "more than 10000 operations"),
        (b'{"apiVersion": ["v1"], "kind": {}}', "apiVersion: Input should be a valid string"),
        ({"allowed": "yes"}, "response.allowed: Input should be a valid boolean"),
        ({"status": {"details": {"causes": "x"}}}, "response.status.details.causes: Input should be a valid list"),
    ],
)
def test_a_webhook_that_fails_refuses_or_is_ignored(
    api: ApiServer, hooks: AdmissionServer, answer: Any, said: str
) -> None:
    hooks.answers["/broken"] = lambda request: answer
    with configured(api, "mutating", hooks.webhook("/broken")):
        refused = create(api, "never")
    assert refused.status_code == 500
    message = refused.json()["message"]
    assert message.startswith('Internal error occurred: failed calling webhook "broken.test.example": ')
    assert said in message
    with configured(api, "mutating", hooks.webhook("/broken", failurePolicy="Ignore")):
        assert create(api, "after-all").status_code == 201
    api.http.delete(f"{MAPS}/after-all")


def test_a_refusal_is_told_with_any_code_and_without_a_reason(api: ApiServer, hooks: AdmissionServer) -> None:
    for code, told in ((599, 599), (200, 400), (1000, 400), (None, 400)):
        hooks.answers["/no"] = lambda request, code=code: {"allowed": False, "status": {"code": code, "message": "m"}}
        with configured(api, "validating", hooks.webhook("/no")):
            refused = create(api, "never")
        assert (refused.status_code, refused.json()["code"]) == (told, told)
        assert "reason" not in refused.json()


def test_what_only_the_server_says_of_an_object_stays(api: ApiServer, hooks: AdmissionServer) -> None:
    metadata = {
        "name": "own",
        "uid": "mine",
        "resourceVersion": "abc",
        "deletionTimestamp": "2020-01-01T00:00:00Z",
        "managedFields": [{"manager": "me", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:x": 5}}],
    }
    hooks.answers["/meta"] = lambda request: patch({"op": "add", "path": "/metadata", "value": metadata})
    elsewhere = {"op": "add", "path": "/metadata/namespace", "value": "kube-system"}
    hooks.answers["/moved"] = lambda request: patch(elsewhere)
    with configured(api, "mutating", hooks.webhook("/moved")):
        moved = create(api, "moved")
    assert (moved.status_code, moved.json()["message"]) == (
        400,
        "the namespace of the provided object does not match the namespace sent on the request",
    )
    metadata["namespace"] = "default"
    with configured(api, "mutating", hooks.webhook("/meta")):
        made = create(api, "own", labels={"a": "b"}).json()["metadata"]
    assert made["resourceVersion"].isdigit()
    assert made["uid"] != "mine"
    assert "deletionTimestamp" not in made
    assert [entry["manager"] for entry in made["managedFields"]] == ["python-httpx"]
    assert api.http.get(f"{MAPS}/own").json()["metadata"] == made
    api.http.delete(f"{MAPS}/own")


def test_a_webhook_that_hangs_delays_only_what_it_matches(api: ApiServer, hooks: AdmissionServer) -> None:
    hooks.answers["/slow"] = lambda request: time.sleep(2) or ALLOW
    with configured(api, "validating", hooks.webhook("/slow", timeoutSeconds=1)):
        begin = time.monotonic()
        assert api.http.post("/api/v1/namespaces/default/secrets", json={"metadata": {"name": "quick"}}).is_success
        assert time.monotonic() - begin < 1
        refused = create(api, "late")
    assert refused.status_code == 500
    assert "context deadline exceeded" in refused.json()["message"]
    api.http.delete("/api/v1/namespaces/default/secrets/quick")


def test_no_webhook_keeps_its_own_configuration_from_being_deleted(api: ApiServer, hooks: AdmissionServer) -> None:
    hooks.answers["/never"] = lambda request: {"allowed": False}
    with configured(api, "validating", hooks.webhook("/never", rules=EVERYTHING)):
        refused = create(api, "nothing")
    assert refused.json()["message"] == 'admission webhook "never.test.example" denied the request without explanation'


def test_a_service_that_is_not_there(api: ApiServer, hooks: AdmissionServer) -> None:
    config = {"service": {"namespace": "default", "name": "gone", "path": "/x"}}
    with configured(api, "validating", hooks.webhook("/x", clientConfig=config)):
        message = create(api, "never").json()["message"]
    assert message == (
        'Internal error occurred: failed calling webhook "x.test.example": failed to call webhook: '
        'Post "https://gone.default.svc:443/x?timeout=10s": service "gone" not found'
    )


def test_connections_are_admitted(api: ApiServer, hooks: AdmissionServer) -> None:
    """Before anything of the pod is looked at."""
    rules = [{"operations": ["CONNECT"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/attach"]}]
    hooks.answers["/attach"] = lambda request: {"allowed": False, "status": {"message": "not this pod"}}
    with configured(api, "validating", hooks.webhook("/attach", rules=rules)):
        refused = api.http.post("/api/v1/namespaces/default/pods/p/attach?container=c&stdout=true")
    assert refused.json()["message"] == 'admission webhook "attach.test.example" denied the request: not this pod'
    (request,) = hooks.asked
    assert request["object"] == {
        "kind": "PodAttachOptions", "apiVersion": "v1", "container": "c", "stdout": True,
    }  # fmt: skip
    assert (request["subResource"], request["operation"]) == ("attach", "CONNECT")


@contextmanager
def gadgets(api: ApiServer, **spec: Any) -> Iterator[str]:
    """Yields the path of the objects of a custom kind in v2; they are stored in v1."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    versions = [
        {"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": schema}}
        for name in ("v1", "v2")
    ]
    names = {"plural": "gadgets", "kind": "Gadget"}
    spec |= {"group": "equal.example", "scope": "Namespaced", "names": names, "versions": versions}
    body = {"metadata": {"name": "gadgets.equal.example"}, "spec": spec}
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert api.http.post(definitions, json=body).status_code == 201
    collection = "/apis/equal.example/v2/namespaces/default/gadgets"
    eventually(lambda: api.http.get(collection).status_code == 200, "gadgets are served")
    yield collection
    assert api.http.delete(f"{definitions}/gadgets.equal.example").status_code == 200
    eventually(lambda: api.http.get(collection).status_code == 404, "gadgets are gone")


GADGET_RULE = {"operations": ["*"], "apiGroups": ["equal.example"], "apiVersions": ["v1"], "resources": ["gadgets"]}
GADGET = {"apiVersion": "equal.example/v2", "kind": "Gadget", "metadata": {"name": "a"}}


def test_versions_of_a_custom_kind_are_equivalent(api: ApiServer, hooks: AdmissionServer) -> None:
    """The webhook's rules name one version; requests in the other are shown to it in that one."""
    hooks.answers["/see"] = lambda request: patch({"op": "add", "path": "/size", "value": 3})
    with gadgets(api) as collection, configured(api, "mutating", hooks.webhook("/see", rules=[GADGET_RULE])):
        made = api.http.post(collection, json=GADGET)
    assert (made.status_code, made.json()["apiVersion"], made.json()["size"]) == (201, "equal.example/v2", 3)
    (request,) = hooks.asked
    assert (request["object"]["apiVersion"], request["requestKind"]["version"]) == ("equal.example/v1", "v2")


def test_the_kinds_own_webhook_converts_for_webhooks(api: ApiServer, hooks: AdmissionServer) -> None:
    """There and back where one changes the object; a failure fails the request, whatever the failure policy says."""

    def convert(review: Dict) -> Dict:
        """`size` of v1 is `width` of v2."""
        wanted, objects = review["desiredAPIVersion"], review["objects"]
        old, new = ("size", "width") if wanted.endswith("v2") else ("width", "size")
        converted = [{**each, "apiVersion": wanted, new: each[old]} for each in objects]
        for each in converted:
            del each[old]
        return {"result": {"status": "Success"}, "convertedObjects": converted}

    def asked(path: str) -> list[Dict]:
        return [request for request in hooks.asked if request["path"] == path]

    hooks.answers |= {"/convert": convert}
    hooks.answers["/set"] = lambda request: patch(
        {"op": "replace", "path": "/size", "value": request["object"]["size"] + 1}
    )
    client = {"clientConfig": hooks.client_config("/convert"), "conversionReviewVersions": ["v1"]}
    shared = {"rules": [GADGET_RULE], "failurePolicy": "Ignore"}
    setting, seeing = hooks.webhook("/set", **shared), hooks.webhook("/see", **shared)
    with (
        gadgets(api, conversion={"strategy": "Webhook", "webhook": client}) as collection,
        configured(api, "validating", seeing),
    ):
        with configured(api, "mutating", setting):
            made = api.http.post(collection, json={**GADGET, "width": 1}).json()
            assert (made["apiVersion"], made["width"]) == ("equal.example/v2", 2)
            put = api.http.put(f"{collection}/a", json={**made, "width": 5}).json()
            assert (put["width"], put.get("size")) == (6, None)
            hooks.answers["/convert"] = lambda review: {"result": {"status": "Failure", "message": "no"}}
            failed = api.http.put(f"{collection}/a", json={**put, "width": 7})
        seen = [(request["object"], request["oldObject"]) for request in asked("/see")]
        assert [(new["size"], old and old["size"]) for new, old in seen] == [(2, None), (6, 2)]
        assert [request["object"]["size"] for request in asked("/set")] == [1, 5]
        text = "Internal error occurred: conversion webhook for equal.example/v2, Kind=Gadget failed: no"
        assert (failed.status_code, failed.json()["message"]) == (500, f"Internal error occurred: {text}")
        refused = api.http.post(collection, json={**GADGET, "metadata": {"name": "b"}, "width": 1})
        assert (refused.status_code, refused.json()["message"]) == (500, text)
        hooks.answers["/convert"] = convert
