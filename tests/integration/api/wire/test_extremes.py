"""Values that are allowed and extreme: what a client stores may not make later reads fail."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.process import TOKEN

TABLE = {"accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}
MERGE = {"content-type": "application/merge-patch+json"}
POD = {"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}}


@pytest.mark.parametrize("seconds", [2**63 - 1, 2**40, 10**10, -5, -(2**63)])
def test_a_pod_may_be_given_any_time_to_end(api: ApiServer, namespace: str, seconds: int) -> None:
    pods = f"/api/v1/namespaces/{namespace}/pods"
    for own, asked in ((30, {"gracePeriodSeconds": seconds}), (max(seconds, 0), {})):
        made = api.http.post(pods, json=POD | {"spec": POD["spec"] | {"terminationGracePeriodSeconds": own}})
        assert made.status_code == 201, made.text
        answer = api.http.request("DELETE", f"{pods}/p", json=asked)
        assert answer.status_code == 200, answer.text
        assert api.http.get(pods, headers=TABLE).status_code == 200
        api.http.delete(f"{pods}/p?gracePeriodSeconds=0")


@pytest.mark.parametrize(
    "time",
    ["0001-01-01T00:00:00Z", "2023-02-29T00:00:00Z", "9999-12-31T23:59:59-23:59", "2000-01-01T00:00:00.1234567890Z"],
)
def test_any_time_can_be_shown(api: ApiServer, namespace: str, time: str) -> None:
    root = f"/api/v1/namespaces/{namespace}"
    event = {"metadata": {"name": "e"}, "involvedObject": {"namespace": namespace}, "lastTimestamp": time}
    assert api.http.post(f"{root}/events", json=event | {"firstTimestamp": time, "count": 5}).status_code == 201
    assert api.http.post(f"{root}/pods", json=POD).status_code == 201
    last: dict[str, Any] = {"terminated": {"exitCode": 1, "startedAt": time, "finishedAt": time}}
    container = {"name": "c", "image": "i", "imageID": "", "ready": False, "restartCount": 3, "lastState": last}
    status = {"status": {"startTime": time, "containerStatuses": [container]}}
    assert api.http.patch(f"{root}/pods/p/status", json=status, headers=MERGE).status_code == 200
    for plural in ("events", "pods"):
        assert len(api.http.get(f"{root}/{plural}", headers=TABLE).json()["rows"]) == 1


def test_not_all_of_very_many_mistakes_are_told(api: ApiServer, namespace: str) -> None:
    labels = {f"l{number}": "-" for number in range(20_000)}
    body = {"metadata": {"name": "c", "labels": labels}}
    answer = api.http.post(f"/api/v1/namespaces/{namespace}/configmaps", json=body)
    assert (answer.status_code, len(answer.json()["details"]["causes"])) == (422, 500)
    assert answer.json()["message"].endswith(", and 19500 more]")
    assert len(answer.content) < 1_000_000


@pytest.mark.parametrize("query", ["timeoutSeconds=9223372036854775807", f"resourceVersion={2**64 - 1}"])
def test_a_watch_may_wait_for_ever(api: ApiServer, query: str) -> None:
    with api.http.stream("GET", f"/api/v1/configmaps?watch=1&{query}") as answer:
        assert answer.status_code == 200


@pytest.mark.parametrize("query", ["timeoutSeconds=-5", "timeoutSeconds=1"])
def test_a_watch_that_may_not_last_ends(api: ApiServer, query: str) -> None:
    assert api.http.get(f"/api/v1/configmaps?watch=1&{query}").status_code == 200


def test_who_asks_again_and_again_and_reads_nothing_gets_no_more_memory(api: ApiServer, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps/large"
    body = {"metadata": {"name": "large"}, "data": {"a": "x" * 500_000}}
    assert api.http.post(path.removesuffix("/large"), json=body).status_code == 201
    request = f"GET {path}?resourceVersion=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    before = rss_bytes(api)
    with (
        socket.create_connection(("127.0.0.1", api.port), timeout=20) as raw,
        ssl._create_unverified_context().wrap_socket(raw) as tls,
    ):
        tls.sendall(request * 400)
        for _ in range(5):
            assert api.http.get(path).status_code == 200
        assert rss_bytes(api) - before < 64 << 20


def rss_bytes(api: ApiServer) -> int:
    assert api.process is not None
    status = Path(f"/proc/{api.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024
