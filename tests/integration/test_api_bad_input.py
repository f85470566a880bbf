"""What a client may get wrong: each is a 4xx Status that says what, and nothing is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.apiserver import ApiServer

JSON = {"content-type": "application/json"}
YAML = {"content-type": "application/yaml"}
MERGE = {"content-type": "application/merge-patch+json"}

POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def with_meta(**meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": "c", **meta}}


BODIES: list[tuple[str, Any, dict[str, str], int, str]] = [
    ("configmaps", "", JSON, 400, "unexpected end of JSON input (<empty>)"),
    ("configmaps", "{", JSON, 400, "the object provided is unrecognized (must be of type ConfigMap)"),
    ("configmaps", "[]", JSON, 400, "must be of type ConfigMap"),
    ("configmaps", "null", JSON, 400, "must be of type ConfigMap"),
    ("configmaps", '"x"', JSON, 400, "must be of type ConfigMap"),
    ("configmaps", b"\xff\xfe", JSON, 400, "must be of type ConfigMap"),
    ("configmaps", "[" * 5000, JSON, 400, "must be of type ConfigMap"),
    ("configmaps", "metadata: {name: c", YAML, 400, "yaml"),
    ("configmaps", "a: 1\n---\nb: 2\n", YAML, 400, "yaml"),
    ("configmaps", "a: &a [*a]\n", YAML, 400, "yaml"),
    ("configmaps", "!!python/object:os.system {}", YAML, 400, "yaml"),
    ("configmaps", with_meta() | {"kind": "Secret"}, JSON, 400, "cannot be handled as a ConfigMap"),
    ("configmaps", with_meta() | {"apiVersion": "v2"}, JSON, 400, "does not match the expected API version"),
    ("configmaps", with_meta() | {"data": {"a": 1}}, JSON, 400, "data.a"),
    ("configmaps", with_meta() | {"data": []}, JSON, 400, "data"),
    ("configmaps", {"metadata": []}, JSON, 400, "metadata"),
    ("configmaps", with_meta(labels={"a": None, "b": 5}), JSON, 400, "metadata.labels.b"),
    ("configmaps", with_meta(namespace="other"), JSON, 400, "does not match the namespace sent on the request"),
    ("configmaps", with_meta(resourceVersion="5"), JSON, 400, "resourceVersion should not be set"),
    ("configmaps", {"metadata": {}}, JSON, 422, "metadata.name: Required value: name or generateName is required"),
    ("configmaps", {"metadata": {"name": "Bad_Name"}}, JSON, 422, 'metadata.name: Invalid value: "Bad_Name"'),
    ("configmaps", {"metadata": {"name": "a" * 254}}, JSON, 422, "metadata.name"),
    ("configmaps", {"metadata": {"name": "a/b"}}, JSON, 422, "may not contain '/'"),
    ("configmaps", {"metadata": {"name": ".."}}, JSON, 422, "may not be '..'"),
    ("configmaps", with_meta(labels={"-x": "1"}), JSON, 422, "metadata.labels"),
    ("configmaps", with_meta(labels={"x": "a b"}), JSON, 422, "metadata.labels"),
    ("configmaps", with_meta(annotations={"x": "y" * 262144}), JSON, 422, "metadata.annotations: Too long"),
    ("configmaps", with_meta(annotations={"a b": "y"}), JSON, 422, "metadata.annotations"),
    ("configmaps", with_meta(finalizers=["nope"]), JSON, 422, "metadata.finalizers[0]"),
    ("configmaps", with_meta(ownerReferences=[{"kind": "A"}]), JSON, 422, "metadata.ownerReferences[0].uid"),
    ("pods", {"metadata": {"name": "p"}}, JSON, 422, "spec.containers: Required value"),
    ("pods", POD | {"spec": {"containers": "x"}}, JSON, 400, "spec.containers"),
    ("pods", POD | {"spec": {"containers": [{"name": "c", "ports": [{"containerPort": "80"}]}]}}, JSON, 400,
     "spec.containers[0].ports[0].containerPort"),
    ("pods", POD | {"spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 2**40}]}]}}, JSON,
     400, "containerPort"),
    ("services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], "clusterIP": "1.2.3.4"}}, JSON, 422,
     "not in the valid range"),
    ("services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "nodePort": 80}], "type": "NodePort"}},
     JSON, 422, "spec.ports[0].nodePort"),
]  # fmt: skip


@pytest.mark.parametrize(("plural", "body", "headers", "code", "said"), BODIES, ids=range(len(BODIES)))
def test_a_bad_body_is_refused_with_a_reason(
    api: ApiServer, namespace: str, plural: str, body: Any, headers: dict[str, str], code: int, said: str
) -> None:
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    collection = f"/api/v1/namespaces/{namespace}/{plural}"
    answer = api.http.post(collection, content=content, headers=headers)
    check_status(answer, code)
    assert said in answer.json()["message"]
    assert api.http.get(collection).json()["items"] == []


def check_status(answer: Any, code: int) -> None:
    assert answer.status_code == code, answer.text
    status = answer.json()
    assert (status["kind"], status["apiVersion"], status["status"], status["code"]) == ("Status", "v1", "Failure", code)
    assert status["reason"]
    assert "Traceback" not in answer.text


def test_every_bad_field_is_a_cause(api: ApiServer, namespace: str) -> None:
    body = {"metadata": {"name": "A", "labels": {"x": "-"}}, "spec": {"containers": [{"name": "C"}]}}
    answer = api.http.post(f"/api/v1/namespaces/{namespace}/pods", json=body)
    details = answer.json()["details"]
    assert (details["name"], details["kind"]) == ("A", "Pod")
    fields = {cause["field"] for cause in details["causes"]}
    assert fields >= {"metadata.name", "metadata.labels", "spec.containers[0].name", "spec.containers[0].image"}
    assert answer.json()["message"].startswith('Pod "A" is invalid: [')


def test_aliases_do_not_multiply(api: ApiServer, namespace: str) -> None:
    levels = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12)]
    answer = api.http.post(f"/api/v1/namespaces/{namespace}/configmaps", content="\n".join(levels), headers=YAML)
    check_status(answer, 400)
    assert "excessive aliasing" in answer.json()["message"]


def test_a_body_over_three_megabytes_is_refused(api: ApiServer, namespace: str) -> None:
    collection = f"/api/v1/namespaces/{namespace}/configmaps"
    content = json.dumps(with_meta() | {"data": {"a": "x" * 3_200_000}})
    check_status(api.http.post(collection, content=content, headers=JSON), 413)
    pieces = (content[start : start + 65536].encode() for start in range(0, len(content), 65536))
    check_status(api.http.post(collection, content=pieces, headers=JSON), 413)
    assert api.http.get(collection).json()["items"] == []


def test_an_object_larger_than_etcd_takes_is_refused(api: ApiServer, namespace: str) -> None:
    collection = f"/api/v1/namespaces/{namespace}/pods"
    container = {"name": "c", "image": "i", "env": [{"name": "A", "value": "x" * 2_000_000}]}
    check_status(api.http.post(collection, json=POD | {"spec": {"containers": [container]}}), 413)
    assert api.http.get(collection).json()["items"] == []


@pytest.mark.parametrize("kind", ["text/plain", "application/cbor", "x"])
def test_other_media_types_are_refused(api: ApiServer, namespace: str, kind: str) -> None:
    collection = f"/api/v1/namespaces/{namespace}/configmaps"
    check_status(api.http.post(collection, content="x", headers={"content-type": kind}), 415)
    check_status(api.http.patch(f"{collection}/c", content="{}", headers={"content-type": "application/json"}), 415)
    check_status(api.http.patch(f"{collection}/c", content="{}", headers={"content-type": kind}), 415)


def test_bytes_that_are_no_protobuf_are_refused(api: ApiServer, namespace: str) -> None:
    collection = f"/api/v1/namespaces/{namespace}/configmaps"
    for content in (b"", b"x", b"k8s\x00\x0a", b"k8s\x00\xff\xff", b"{}"):
        headers = {"content-type": "application/vnd.kubernetes.protobuf"}
        check_status(api.http.post(collection, content=content, headers=headers), 400)


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        ("application/merge-patch+json", "[]", 400),
        ("application/merge-patch+json", "{", 400),
        ("application/merge-patch+json", '{"data": 5}', 400),
        ("application/merge-patch+json", '{"data": {"a": 5}}', 400),
        ("application/merge-patch+json", '{"kind": "Pod"}', 400),
        ("application/merge-patch+json", '{"metadata": {"labels": {"a": "b c"}}}', 422),
        ("application/merge-patch+json", '{"metadata": null}', 400),
        ("application/strategic-merge-patch+json", '{"data": {"$patch": "nonsense"}}', 400),
        ("application/json-patch+json", "{}", 400),
        ("application/json-patch+json", '[{"op": "jump"}]', 422),
        ("application/json-patch+json", '[{"op": "remove", "path": "/data/none"}]', 422),
        ("application/json-patch+json", '[{"op": "replace", "path": "", "value": []}]', 400),
        ("application/json-patch+json", json.dumps([{"op": "test", "path": "/x", "value": 1}] * 10_001), 413),
        ("application/apply-patch+yaml", "{}", 422),
    ],
)  # fmt: skip
def test_a_bad_patch_changes_nothing(api: ApiServer, namespace: str, kind: str, body: str, code: int) -> None:
    collection = f"/api/v1/namespaces/{namespace}/configmaps"
    made = api.http.post(collection, json=with_meta() | {"data": {"a": "1"}}).json()
    check_status(api.http.patch(f"{collection}/c", content=body, headers={"content-type": kind}), code)
    assert api.http.get(f"{collection}/c").json() == made


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/v1/namespaces/default/nothings", 404),
        ("/api/v1/namespaces/default/nothings/x", 404),
        ("/api/v1/namespaces/default/configmaps/x/status", 404),
        ("/api/v1/namespaces/default/configmaps/x/y/z", 404),
        ("/api/v1/namespaces/default/nodes", 404),
        ("/api/v1/configmaps/x", 404),
        ("/api/v2/pods", 404),
        ("/apis/apps/v1beta1/deployments", 404),
        ("/apis/none/v1/things", 404),
        ("/api/v1//pods", 404),
        ("/nothing", 404),
        ("/", 200),
        ("/api/v1/namespaces/default/configmaps?limit=x", 400),
        ("/api/v1/namespaces/default/configmaps?limit=99999999999999999999", 400),
        ("/api/v1/namespaces/default/configmaps?resourceVersion=x", 400),
        ("/api/v1/namespaces/default/configmaps?resourceVersion=-1", 400),
        ("/api/v1/namespaces/default/configmaps?timeoutSeconds=x&watch=1", 400),
        ("/api/v1/namespaces/default/configmaps?labelSelector=a+b+c", 400),
        ("/api/v1/namespaces/default/configmaps?labelSelector=a+in+", 400),
        ("/api/v1/namespaces/default/configmaps?fieldSelector=data.a=1", 400),
        ("/api/v1/namespaces/default/configmaps?fieldSelector=x", 400),
        ("/api/v1/namespaces/default/configmaps?watch=1&fieldSelector=data.a=1", 400),
        ("/api/v1/namespaces/default/configmaps?continue=x", 400),
        ("/api/v1/namespaces/default/configmaps?resourceVersionMatch=Exact", 422),
        ("/api/v1/namespaces/default/configmaps?resourceVersionMatch=Other&resourceVersion=1", 422),
        ("/api/v1/namespaces/default/configmaps?resourceVersionMatch=Exact&resourceVersion=0", 422),
        ("/api/v1/namespaces/default/configmaps?sendInitialEvents=true", 422),
        ("/api/v1/namespaces/default/configmaps?watch=1&sendInitialEvents=true", 422),
        ("/api/v1/namespaces/default/configmaps?labelSelector=%ff", 400),
        ("/api/v1/namespaces/default/configmaps/x?resourceVersion=x", 400),
        ("/api/v1/namespaces/default/pods/x/log?tailLines=x", 400),
    ],
)  # fmt: skip
def test_paths_and_queries_are_checked(api: ApiServer, path: str, code: int) -> None:
    answer = api.http.get(path)
    if code == 200:
        assert answer.status_code == 200
    else:
        check_status(answer, code)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/namespaces/default/configmaps/x"),
        ("PUT", "/api/v1/namespaces/default/configmaps"),
        ("PATCH", "/api/v1/namespaces/default/configmaps"),
        ("POST", "/api/v1/configmaps"),
        ("DELETE", "/api/v1/configmaps"),
        ("DELETE", "/api/v1/namespaces/default/pods/x/status"),
        ("POST", "/api/v1"),
        ("DELETE", "/version"),
        ("OPTIONS", "/api/v1/namespaces/default/configmaps"),
    ],
)
def test_a_verb_that_a_path_does_not_answer_is_not_allowed(api: ApiServer, method: str, path: str) -> None:
    check_status(api.http.request(method, path), 405)


@pytest.mark.parametrize(
    ("query", "code"),
    [("dryRun=Some", 422), ("fieldValidation=Maybe", 422), ("fieldManager=" + "x" * 129, 422), ("pretty=true", 201)],
)
def test_options_of_a_write_are_checked(api: ApiServer, namespace: str, query: str, code: int) -> None:
    answer = api.http.post(f"/api/v1/namespaces/{namespace}/configmaps?{query}", json=with_meta())
    assert answer.status_code == code


def test_options_of_a_deletion_are_checked(api: ApiServer, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps/c"
    api.http.post(path[:-2], json=with_meta())
    for body in ('{"propagationPolicy": "Wide"}', '{"propagationPolicy": "Orphan", "orphanDependents": true}'):
        check_status(api.http.request("DELETE", path, content=body, headers=JSON), 422)
    for body in ("{", '{"gracePeriodSeconds": "1"}', '{"kind": "Pod"}'):
        check_status(api.http.request("DELETE", path, content=body, headers=JSON), 400)
    check_status(api.http.delete(path + "?gracePeriodSeconds=x"), 400)
    assert api.http.get(path).status_code == 200


def test_an_answer_that_can_not_be_given_is_not_acceptable(api: ApiServer) -> None:
    for accept in ("application/vnd.kubernetes.protobuf", "text/html", "application/json;as=Table;g=x;v=v1"):
        check_status(api.http.get("/api/v1/namespaces/default", headers={"accept": accept}), 406)
    for accept in ("application/vnd.kubernetes.protobuf, */*", "text/html, application/json;q=0.1", "*/*"):
        answer = api.http.get("/api/v1/namespaces/default", headers={"accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


def test_unknown_fields_are_dropped_told_or_refused(api: ApiServer, namespace: str) -> None:
    collection = f"/api/v1/namespaces/{namespace}/pods"
    text = '{"metadata":{"name":"p","name":"p"},"spec":{"zork":1,"containers":[{"name":"c","image":"i","port":1}]}}'
    strict = api.http.post(f"{collection}?fieldValidation=Strict", content=text, headers=JSON)
    check_status(strict, 400)
    assert strict.json()["message"].endswith(
        'strict decoding error: duplicate field "metadata.name", unknown field "spec.zork", '
        'unknown field "spec.containers[0].port"'
    )
    warned = api.http.post(f"{collection}?fieldValidation=Warn", content=text, headers=JSON)
    assert warned.headers.get_list("warning") == [
        '299 - "duplicate field \\"metadata.name\\""', '299 - "unknown field \\"spec.zork\\""',
        '299 - "unknown field \\"spec.containers[0].port\\""',
    ]  # fmt: skip
    assert "zork" not in warned.json()["spec"]
    ignored = api.http.post(
        f"{collection}?fieldValidation=Ignore", content=text.replace('"name":"p"', '"name":"q"'), headers=JSON
    )
    assert (ignored.status_code, "warning" in ignored.headers) == (201, False)


def test_malformed_http_is_answered_and_the_server_lives(api: ApiServer) -> None:
    import socket
    import ssl

    context = ssl._create_unverified_context()
    for line in (b"GET / HTTP/9.9\r\n\r\n", b"\x00\x01\x02\r\n\r\n", b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", api.port)) as raw, context.wrap_socket(raw) as tls:
            tls.settimeout(10)
            tls.sendall(line)
            answer = b"".join(iter(lambda: tls.recv(4096), b""))
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["reason"] == "BadRequest"
    assert api.http.get("/readyz").text == "ok"
