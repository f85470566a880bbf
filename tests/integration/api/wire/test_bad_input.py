"""Bad input whose answer says more than one thing; what has one answer is in the table of `tests/malformed`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer

JSON = {"content-type": "application/json"}

POD = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


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


def test_an_object_larger_than_etcd_takes_is_refused(api: ApiServer, namespace: str) -> None:
    collection = f"/api/v1/namespaces/{namespace}/pods"
    container = {"name": "c", "image": "i", "env": [{"name": "A", "value": "x" * 2_000_000}]}
    check_status(api.http.post(collection, json=POD | {"spec": {"containers": [container]}}), 413)
    assert api.http.get(collection).json()["items"] == []


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


@pytest.mark.parametrize(
    "accept", ["application/vnd.kubernetes.protobuf, */*", "text/html, application/json;q=0.1", "*/*"]
)
def test_an_answer_comes_in_what_there_is(api: ApiServer, accept: str) -> None:
    answer = api.http.get("/api/v1/namespaces/default", headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
