"""Server-side apply and managed fields over HTTP, and what a client may ask of any write."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.manifests import configmap, container, deployment, pod, service

Dict = dict[str, Any]

APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class Client:
    """Writes into one namespace."""

    def __init__(self, api: ApiServer, namespace: str) -> None:
        self.api = api
        self.namespace = namespace

    def path(self, obj: Dict, subresource: str = "") -> str:
        group = "apis/apps/v1" if obj["apiVersion"] == "apps/v1" else "api/v1"
        return f"/{group}/namespaces/{self.namespace}/{obj['kind'].lower()}s/{obj['metadata']['name']}{subresource}"

    def apply(self, obj: Dict, manager: str = "a", subresource: str = "", body: str = "", **query: str) -> Any:
        return self.api.http.patch(
            self.path(obj, subresource),
            params={"fieldManager": manager, **query},
            content=body or json.dumps(obj),
            headers={"content-type": APPLY},
        )

    def patch(self, obj: Dict, document: Any, kind: str = MERGE, subresource: str = "", **query: str) -> Any:
        return self.api.http.patch(
            self.path(obj, subresource), params=query, content=json.dumps(document), headers={"content-type": kind}
        )

    def create(self, obj: Dict, **query: str) -> Any:
        return self.api.http.post(self.path(obj).rpartition("/")[0], params=query, json=obj)

    def get(self, obj: Dict) -> Dict:
        found: Dict = self.api.http.get(self.path(obj)).json()
        return found

    def owners(self, obj: Dict) -> dict[tuple[str, str, str], Dict]:
        entries = self.get(obj)["metadata"].get("managedFields", [])
        return {(e["manager"], e["operation"], e.get("subresource", "")): e["fieldsV1"] for e in entries}


@pytest.fixture
def client(api: ApiServer, namespace: str) -> Client:
    return Client(api, namespace)


def message(answer: Any, code: int) -> str:
    assert answer.status_code == code, answer.text
    text: str = answer.json()["message"]
    return text


def test_apply_makes_then_changes_then_leaves_an_object(client: Client) -> None:
    web = deployment("web", 2, container())
    made = client.apply(web)
    assert made.status_code == 201
    (entry,) = made.json()["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["apiVersion"], entry["fieldsType"]) == (
        "a", "Apply", "apps/v1", "FieldsV1",
    )  # fmt: skip
    assert entry["fieldsV1"]["f:spec"]["f:replicas"] == {}
    assert "f:strategy" not in entry["fieldsV1"]["f:spec"], "defaults are nobody's"
    again = client.apply(web)
    assert (again.status_code, again.content) == (200, made.content)
    web["spec"]["replicas"] = 3
    changed = client.apply(web).json()
    assert (changed["spec"]["replicas"], changed["metadata"]["generation"]) == (3, 2)


def test_a_body_may_be_yaml(client: Client) -> None:
    body = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata: {a: '1'}\n"
    assert client.apply(configmap("c"), body=body).json()["data"] == {"a": "1"}


def test_conflicts_name_the_owner_and_force_takes_over(client: Client) -> None:
    web = deployment("web", 2, container())
    client.create(web, fieldManager="kubectl-create")
    web["spec"]["replicas"] = 3
    answer = client.apply(web, "b")
    told = 'Apply failed with 1 conflict: conflict with "kubectl-create" using apps/v1: .spec.replicas'
    assert message(answer, 409) == told
    assert answer.json()["reason"] == "Conflict"
    assert answer.json()["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl-create" using apps/v1',
            "field": ".spec.replicas",
        }
    ]
    assert client.get(web)["spec"]["replicas"] == 2
    assert client.apply(web, "b", force="true").json()["spec"]["replicas"] == 3
    assert "f:replicas" not in client.owners(web)[("kubectl-create", "Update", "")]["f:spec"]


@pytest.mark.parametrize(
    ("query", "body", "code", "told"),
    [
        ({"fieldManager": ""}, {}, 422,
         'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'),
        ({"fieldManager": "x" * 129}, {}, 422, "fieldManager: Too long: may not be more than 128 bytes"),
        ({"fieldManager": "a\tb"}, {}, 422,
         'fieldManager: Invalid value: "a\\tb": invalid character U+0009 (at position 1)'),
        ({"dryRun": "Some"}, {}, 422, 'dryRun: Unsupported value: ["Some"]: supported values: "All"'),
        ({"fieldValidation": "Some"}, {}, 422,
         'fieldValidation: Unsupported value: "Some": supported values: "", "Ignore", "Strict", "Warn"'),
        ({}, {"apiVersion": "v2"}, 400,
         "Incorrect version specified in apply patch. Specified patch version: v2, expected: v1"),
        ({}, {"kind": "Secret"}, 400, "invalid object type: /v1, Kind=Secret"),
        ({}, {"kind": None}, 400, "invalid object type: /v1, Kind="),
        ({}, {"metadata": {"name": "c", "managedFields": []}}, 400, "metadata.managedFields must be nil"),
        ({}, {"metadata": {"name": "d"}}, 400, "the name of the object (d) does not match the name on the URL (c)"),
        ({}, {"metadata": {"name": "c", "namespace": "x"}}, 400, "does not match the namespace sent on the request"),
        ({}, {"metadata": {"name": "c", "uid": "u"}}, 409,
         'configmaps "c": uid mismatch: the provided object specified uid u, and no existing object was found'),
        ({}, {"metadata": []}, 400, "metadata must be an object"),
        ({}, {"dat": {}, "data": []}, 500,
         "failed to create typed patch object (/c; /v1, Kind=ConfigMap): errors:\n"
         "  .data: expected map, got list\n  .dat: field not declared in schema"),
        ({}, {"data": {"a": 1}}, 400, "data.a"),
        ({}, {"metadata": {"name": "c", "labels": {"a": "b c"}}}, 422, "metadata.labels"),
    ],
)  # fmt: skip
def test_bad_applies_make_nothing(client: Client, query: Dict, body: Dict, code: int, told: str) -> None:
    sent = {**configmap("c"), **body}
    answer = client.apply(configmap("c"), body=json.dumps(sent), **{"manager": "a", **query})
    assert told.replace("NS", client.namespace) in message(answer, code)
    assert client.api.http.get(client.path(configmap("c"))).status_code == 404


def test_bodies_that_are_no_object_are_refused(client: Client) -> None:
    for body in ("[]", "5", "a: [", "a: 1\n---\nb: 1", "\xff", "x" * 10):
        assert client.apply(configmap("c"), body=body).status_code == 400
    cbor = client.api.http.patch(
        client.path(configmap("c")), content=b"\xa0", headers={"content-type": "application/apply-patch+cbor"}
    )
    assert message(cbor, 415) == "415: Unsupported Media Type"
    forced = client.patch(configmap("c"), {}, force="true")
    assert "force: Forbidden: may not be specified for non-apply patch" in message(forced, 422)


def test_appliers_who_come_at_the_same_time_all_succeed(client: Client) -> None:
    def apply(number: int) -> int:
        code: int = client.apply(configmap("c", **{f"k{number}": "1"}), f"m{number}").status_code
        return code

    with ThreadPoolExecutor(8) as pool:
        codes = sorted(pool.map(apply, range(16)))
    assert codes == [*[200] * 15, 201]
    assert len(client.get(configmap("c"))["data"]) == 16
    assert len(client.owners(configmap("c"))) == 16


def test_preconditions_of_an_apply(client: Client) -> None:
    made = client.apply(configmap("c", a="1")).json()["metadata"]
    stale = configmap("c", a="1")
    stale["metadata"]["resourceVersion"] = "1"
    assert "the object has been modified" in message(client.apply(stale), 409)
    stale["metadata"] = {"name": "c", "uid": "other"}
    immutable = 'metadata.uid: Invalid value: "other": field is immutable'
    assert message(client.apply(stale), 422) == f'ConfigMap "c" is invalid: {immutable}'
    assert immutable in message(client.patch(stale, {"metadata": {"uid": "other"}}), 422)
    stale["metadata"] = {"name": "c", "uid": made["uid"], "resourceVersion": made["resourceVersion"]}
    stale["data"]["b"] = "2"
    assert client.apply(stale).status_code == 200


def test_an_object_that_is_being_deleted_can_be_applied_to(client: Client) -> None:
    held = configmap("c", a="1")
    held["metadata"]["finalizers"] = ["x.io/y"]
    client.apply(held)
    client.api.http.delete(client.path(held))
    held["data"]["a"] = "2"
    assert client.apply(held).json()["data"] == {"a": "2"}
    more = configmap("c")
    more["metadata"]["finalizers"] = ["x.io/z"]
    assert "no new finalizers can be added" in message(client.apply(more, "b"), 422)
    del held["metadata"]["finalizers"]
    assert client.apply(held).status_code == 200
    assert client.api.http.get(client.path(held)).status_code == 404, "the last finalizer was given up"


def test_status_is_applied_beside_the_spec(client: Client) -> None:
    web = deployment("web", 2, container())
    client.apply(web)
    status = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    status |= {"status": {"replicas": 2, "conditions": [{"type": "X", "status": "True"}]}, "spec": {"replicas": 9}}
    made = client.apply(status, "controller", "/status").json()
    assert (made["spec"]["replicas"], made["status"]["replicas"]) == (2, 2)
    assert set(client.owners(web)) == {("a", "Apply", ""), ("controller", "Apply", "status")}
    status["status"] = {"replicas": 3}
    assert client.apply(status, "controller", "/status").json()["status"] == {"replicas": 3}
    missing = deployment("none", 1, container())
    assert client.apply(missing, "controller", "/status").status_code == 404


def test_scale_is_applied_and_takes_over_replicas(client: Client) -> None:
    web = deployment("web", 2, container())
    client.apply(web)
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 5}}

    def apply_scale(**query: str) -> Any:
        return client.apply(web, "hpa", "/scale", json.dumps(scale), **query)

    assert 'conflict with "a": .spec.replicas' in message(apply_scale(), 409)
    assert apply_scale(force="true").json()["spec"] == {"replicas": 5}
    assert client.owners(web)[("hpa", "Apply", "scale")] == {"f:spec": {"f:replicas": {}}}
    del web["spec"]["replicas"]
    assert client.apply(web).json()["spec"]["replicas"] == 5
    web["spec"]["replicas"] = 1
    assert 'conflict with "hpa" with subresource "scale": .spec.replicas' in message(client.apply(web), 409)
    scale["spec"] = {"replicas": -1}
    assert apply_scale().status_code == 422


def test_a_write_belongs_to_the_manager_it_names_or_else_to_the_user_agent(client: Client) -> None:
    c = configmap("c", a="1")
    client.create(c)
    client.patch(c, {"data": {"b": "2"}}, fieldManager="m")
    assert client.owners(c) == {
        ("python-httpx", "Update", ""): {"f:data": {".": {}, "f:a": {}}},
        ("m", "Update", ""): {"f:data": {"f:b": {}}},
    }
    headers = {"user-agent": "my-controller/v1.2 (linux)"}
    body = {**client.get(c), "data": {"a": "1", "b": "3"}}
    assert client.api.http.put(client.path(c), json=body, headers=headers).status_code == 200
    assert client.owners(c)[("my-controller", "Update", "")] == {"f:data": {"f:b": {}}}
    assert ("m", "Update", "") not in client.owners(c)
    assert 'conflict with "my-controller" using v1: .data.b' in message(client.apply(configmap("c", b="4")), 409)
    agent = {"user-agent": ("é" * 99).encode(), "content-type": MERGE.encode()}
    client.api.http.patch(client.path(c), json={"data": {"b": "5"}}, headers=agent)
    assert client.owners(c)[("é" * 64, "Update", "")] == {"f:data": {"f:b": {}}}, "at most 128 bytes"


def test_an_object_whose_owners_were_reset_is_tracked_from_the_next_apply_on(client: Client) -> None:
    c = configmap("c", a="1", b="1")
    client.create({**c, "metadata": {**c["metadata"], "managedFields": [{}]}}, fieldManager="m")
    assert client.owners(c) == {("m", "Update", ""): {"f:data": {".": {}, "f:a": {}, "f:b": {}}}}
    client.patch(c, {"metadata": {"managedFields": [{}]}})
    assert client.owners(c) == {}
    client.patch(c, {"data": {"b": "2"}}, fieldManager="m")
    assert client.owners(c) == {}
    assert 'conflict with "before-first-apply" using v1: .data.b' in message(client.apply(configmap("c", b="3")), 409)
    assert client.apply(configmap("c", a="1"), "a").status_code == 200
    assert client.owners(c) == {
        ("a", "Apply", ""): {"f:data": {"f:a": {}}},
        ("before-first-apply", "Update", ""): {"f:data": {".": {}, "f:a": {}, "f:b": {}}},
    }


def test_an_apply_that_leaves_the_object_as_it_is_has_no_time_or_its_last(client: Client) -> None:
    c = configmap("c", a="1")
    client.create(c, fieldManager="m")
    client.apply(c, "second")
    times = {entry["manager"]: entry.get("time") for entry in client.get(c)["metadata"]["managedFields"]}
    assert times["m"]
    assert times["second"] is None


def test_what_a_write_to_a_subresource_may_not_change_keeps_its_owner(client: Client) -> None:
    p = pod("p")
    client.create(p, fieldManager="m")
    status = {"status": {"phase": "Running"}, "spec": {"nodeName": "n"}, "metadata": {"labels": {"a": "b"}}}
    assert client.patch(p, status, subresource="/status", fieldManager="kubelet").status_code == 200
    assert client.owners(p)[("kubelet", "Update", "status")] == {
        "f:metadata": {"f:labels": {"f:a": {}}},
        "f:status": {"f:phase": {}},
    }


def test_labels_of_a_status_write_to_a_deployment_belong_to_nobody(client: Client) -> None:
    web = deployment("web", 1, container())
    client.create(web, fieldManager="m")
    written = {"metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}}, "status": {"replicas": 1}}
    answer = client.patch(web, written, subresource="/status", fieldManager="controller").json()
    assert "a" not in answer["metadata"].get("labels", {})
    assert client.owners(web)[("controller", "Update", "status")] == {
        "f:metadata": {"f:annotations": {".": {}, "f:a": {}}},
        "f:status": {"f:replicas": {}},
    }


def test_a_write_that_changes_nothing_is_not_written(client: Client) -> None:
    c = configmap("c", a="1")
    made = client.create(c, fieldManager="m").json()
    for answer in (
        client.patch(c, {"data": {"a": "1"}}, fieldManager="other"),
        client.patch(c, [], JSON_PATCH, fieldManager="m"),
        client.api.http.put(client.path(c), json=c, params={"fieldManager": "m"}),
    ):
        assert answer.json() == made


def test_what_the_server_chose_is_nobodys(client: Client) -> None:
    web = service("web")
    made = client.create(web, fieldManager="m").json()
    assert made["spec"]["clusterIP"]
    owned = client.owners(web)[("m", "Update", "")]["f:spec"]
    assert set(owned) == {"f:internalTrafficPolicy", "f:ports", "f:selector", "f:sessionAffinity", "f:type"}
    assert set(owned["f:ports"]) == {".", 'k:{"port":80,"protocol":"TCP"}'}
    p = pod("p")
    client.create(p, fieldManager="m")
    owned = client.owners(p)[("m", "Update", "")]["f:spec"]
    assert "f:restartPolicy" in owned
    assert not {"f:priority", "f:serviceAccountName", "f:tolerations"} & set(owned)


def test_clients_write_managed_fields(client: Client) -> None:
    c = configmap("c", a="1")
    client.apply(c)

    def write(entries: Any) -> Any:
        operation = {"op": "replace", "path": "/metadata/managedFields", "value": entries}
        return client.patch(c, [operation], JSON_PATCH)

    entry = {"manager": "b", "operation": "Apply", "apiVersion": "v1", "time": "2026-01-01T00:00:00Z"}
    entry |= {"fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:a": {}}}}
    assert write([entry]).json()["metadata"]["managedFields"] == [entry]
    kept = client.owners(c)
    assert write([]).status_code == 200
    assert write([{**entry, "fieldsV1": {"nonsense": {}}}]).status_code == 200
    assert client.owners(c) == kept, "who does not understand managed fields can't lose them"
    told = message(write([{**entry, "operation": "Steal"}]), 422)
    assert 'metadata.managedFields[0].operation: Invalid value: "Steal": must be `Apply` or `Update`' in told
    for bad in ("x", ["x"], [{**entry, "fieldsV1": "x"}], [{**entry, "time": "2026-13-45T99:00:00.5Z"}]):
        assert write(bad).status_code == 422
    assert write([{}]).status_code == 200
    assert client.owners(c) == {}


UNKNOWN = 'unknown field "spec.template.spec.containers[0].imag"'


@pytest.mark.parametrize("validation", ["", "Warn", "Strict", "Ignore"])
def test_unknown_fields_of_every_write(client: Client, validation: str) -> None:
    """Unset is Warn."""
    query = {"fieldValidation": validation} if validation else {}
    good = deployment("web", 1, container())
    bad = deployment("web", 1, container(imag="x"))
    put = {"params": query, "json": bad}
    writes = [
        lambda: client.create(bad, **query, dryRun="All"),
        lambda: client.api.http.put(client.path(bad), **put),
        lambda: client.patch(bad, {"spec": bad["spec"]}, MERGE, **query),
        lambda: client.patch(bad, {"spec": bad["spec"]}, STRATEGIC, **query),
        lambda: client.patch(
            bad, [{"op": "add", "path": "/spec/template/spec/containers/0/imag", "value": "x"}], JSON_PATCH, **query
        ),
    ]
    for number, write in enumerate(writes):
        if number == 1:
            client.create(good)
        answer = write()
        if validation == "Strict":
            told = message(answer, 400 if number < 2 else 422)
            assert told.endswith(f"strict decoding error: {UNKNOWN}"), told
            continue
        assert answer.is_success, answer.text
        escaped = UNKNOWN.replace('"', '\\"')
        assert answer.headers.get_list("warning") == ([] if validation == "Ignore" else [f'299 - "{escaped}"'])
        assert "imag" not in answer.json()["spec"]["template"]["spec"]["containers"][0]


DOUBLE = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1", "a": "2"}}'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (DOUBLE, ['duplicate field "data.a"']),
        (DOUBLE.replace('": ', '" : '), ['duplicate field "data.a"']),
        (DOUBLE.replace('"a": "2"', '"\\u0061": "2"'), ['duplicate field "data.a"']),
        (DOUBLE.replace(": ", ":").replace(", ", ","), ['duplicate field "data.a"']),
        (DOUBLE.replace('"a": "1", ', '"b": "\\"a\\": 1", '), []),
        (DOUBLE.replace('"a": "1", ', '"b" : "1", '), []),
    ],
)
def test_fields_given_twice(client: Client, content: str, told: list[str]) -> None:
    collection = client.path(configmap("c")).rpartition("/")[0]

    def create(validation: str) -> Any:
        return client.api.http.post(
            collection,
            params={"fieldValidation": validation, "dryRun": "All"},
            content=content,
            headers={"content-type": "application/json"},
        )

    warned = create("Warn")
    escaped = [f'299 - "{text}"'.replace('"data.a"', '\\"data.a\\"') for text in told]
    assert (warned.status_code, warned.headers.get_list("warning")) == (201, escaped)
    assert warned.json()["data"]["a"] == "2"
    assert create("Strict").status_code == (400 if told else 201)
    assert "warning" not in create("Ignore").headers


def test_yaml_and_patches_that_repeat_themselves(client: Client) -> None:
    collection = client.path(configmap("c")).rpartition("/")[0]
    text = "kind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: '1'\n  a: '2'\n"
    headers = {"content-type": "application/yaml"}
    strict = client.api.http.post(f"{collection}?fieldValidation=Strict", content=text, headers=headers)
    assert 'strict decoding error: yaml: unmarshal errors:\n  line 5: key "a" already set in map' in message(
        strict, 400
    )
    made = client.api.http.post(collection, content=text, headers=headers)
    assert made.json()["data"] == {"a": "2"}
    assert 'line 5: key \\"a\\" already set in map' in made.headers["warning"]
    applied = client.apply(configmap("c"), body=f"apiVersion: v1\n{text}")
    assert applied.headers["warning"] == '299 - "line 6: key \\"a\\" already set in map"'
    path = f"{collection}/c"
    twice = '{"data": {"a": "3", "a": "4"}}'
    patched = client.api.http.patch(path, content=twice, headers={"content-type": MERGE})
    assert patched.json()["data"] == {"a": "4"}
    assert patched.headers["warning"] == '299 - "duplicate field \\"data.a\\""'
    refused = client.api.http.patch(
        f"{path}?fieldValidation=Strict", content=twice.replace("4", "5"), headers={"content-type": MERGE}
    )
    assert message(refused, 422).endswith('strict decoding error: duplicate field "data.a"')
    for content in ("apiVersion: v1\n" + text, DOUBLE):
        applied = client.apply(configmap("c"), body=content, force="true")
        assert "warning" in applied.headers, applied.text
    assert client.apply(configmap("c"), body=DOUBLE, fieldValidation="Strict").status_code == 400


def test_a_dry_run_of_any_write_leaves_everything_as_it_was(client: Client) -> None:
    api, every = client.api, {"dryRun": "All"}
    web, svc, p = deployment("web", 1, container()), service("svc"), pod("p")
    for obj in (web, svc, p):
        client.create(obj)
    root = f"/api/v1/namespaces/{client.namespace}"
    claims = "/registry/ranges/"

    def state() -> list[Any]:
        paths = [client.path(obj) for obj in (web, svc, p)] + [f"{root}/configmaps", f"{root}/services"]
        return [api.http.get(path).json() for path in paths]

    before = state()
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    scale = {"metadata": {"name": "web"}, "spec": {"replicas": 4}}
    answers = [
        client.create(configmap("c", a="1"), dryRun="All"),
        client.create(service("new", type="NodePort"), dryRun="All"),
        client.apply(configmap("d", a="1"), dryRun="All"),
        client.apply(svc, "b", dryRun="All"),
        api.http.put(client.path(web), params=every, json=deployment("web", 9, container())),
        client.patch(svc, {"spec": {"type": "NodePort"}}, dryRun="All"),
        client.patch(web, [{"op": "replace", "path": "/spec/replicas", "value": 3}], JSON_PATCH, dryRun="All"),
        client.patch(web, {"status": {"replicas": 3}}, MERGE, "/status", dryRun="All"),
        api.http.put(client.path(web, "/scale"), params=every, json=scale),
        client.patch(web, {"spec": {"replicas": 7}}, MERGE, "/scale", dryRun="All"),
        api.http.post(client.path(p, "/binding"), params=every, json=binding),
        api.http.post(client.path(p, "/eviction"), params=every, json=eviction),
        api.http.delete(client.path(svc), params=every),
        api.http.request("DELETE", client.path(p), json={"dryRun": ["All"], "gracePeriodSeconds": 0}),
        api.http.delete(f"{root}/services", params=every),
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 201, *[200] * 7, 201, 201, 200, 200, 200], claims
    assert answers[1].json()["spec"]["ports"][0]["nodePort"] >= 30000
    assert answers[5].json()["spec"]["ports"][0]["nodePort"] >= 30000
    assert answers[4].json()["spec"]["replicas"] == 9
    assert answers[8].json()["spec"]["replicas"] == 4
    assert state() == before


def test_deletions_have_preconditions(client: Client) -> None:
    made = client.create(configmap("c")).json()["metadata"]
    path = client.path(configmap("c"))

    def delete(**preconditions: str) -> Any:
        return client.api.http.request("DELETE", path, json={"preconditions": preconditions})

    told = message(delete(uid="other"), 409)
    assert f"the UID in the precondition (other) does not match the UID in record ({made['uid']})." in told
    told = message(delete(resourceVersion="1"), 409)
    assert f"(1) does not match the ResourceVersion in record ({made['resourceVersion']})." in told
    assert delete(uid=made["uid"], resourceVersion=made["resourceVersion"]).status_code == 200


def test_json_patches_that_do_not_apply_are_told_as_upstream_does(client: Client) -> None:
    c = configmap("c", a="1")
    client.create(c)
    rejected = "the server rejected our request due to an error in our request"
    for operation in (
        {"op": "test", "path": "/data/a", "value": "2"},
        {"op": "remove", "path": "/data/none"},
        {"op": "add", "path": "/none/x", "value": 1},
        {"op": "jump", "path": "/data"},
    ):
        answer = client.patch(c, [operation], JSON_PATCH)
        assert (message(answer, 422), answer.json()["reason"]) == (rejected, "Invalid")
    many = [{"op": "test", "path": "/data/a", "value": "1"}] * 10_001
    told = "The allowed maximum operations in a JSON patch is 10000, got 10001"
    assert message(client.patch(c, many, JSON_PATCH), 413).endswith(told)
    assert client.patch(c, many[:10_000], JSON_PATCH).status_code == 200
