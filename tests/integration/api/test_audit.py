"""What the audit log and the webhook tell of requests to a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually
from tests.kits.net.httpserver import Quiet, serve_in_thread

AT_THE_END = {"omitStages": ["RequestReceived"]}
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "rules": [
        {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*", "/metrics"]},
        {"level": "None", "users": ["system:apiserver"]},
        {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets"]}], **AT_THE_END},
        {
            "level": "RequestResponse",
            "namespaces": ["default"],
            "resources": [{"group": "", "resources": ["configmaps"]}],
            "omitManagedFields": True,
            **AT_THE_END,
        },
        {"level": "Request", "userGroups": ["system:masters"], "verbs": ["create"]},
        {"level": "Metadata", **AT_THE_END},
    ],
}
PATH = "/api/v1/namespaces/default/configmaps"


class Receiver:
    """A server that takes EventLists; refuses the first so many."""

    def __init__(self, refusals: int) -> None:
        self.lists: list[dict[str, Any]] = []
        self.refusals = refusals
        receiver = self

        class Handler(Quiet, BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if receiver.refusals:
                    receiver.refusals -= 1
                    self.send_error(503)
                    return
                receiver.lists.append(body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/events"

    def events(self) -> list[dict[str, Any]]:
        return [event for one in self.lists for event in one["items"]]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver(refusals=1)
    with serve_in_thread(receiver.server):
        yield receiver


@pytest.fixture(scope="module")
def log_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit") / "logs" / "audit.log"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, log_file: Path, receiver: Receiver) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("api")
    policy, config = folder / "policy.yaml", folder / "webhook.yaml"
    policy.write_text(json.dumps(POLICY))
    clusters = [{"name": "c", "cluster": {"server": receiver.url}}]
    contexts = [{"name": "c", "context": {"cluster": "c", "user": "c"}}]
    users = [{"name": "c", "user": {"token": "t"}}]
    config.write_text(json.dumps({"current-context": "c", "clusters": clusters, "contexts": contexts, "users": users}))
    flags = [
        f"--audit-policy-file={policy}",
        f"--audit-log-path={log_file}",
        f"--audit-webhook-config-file={config}",
        "--audit-webhook-batch-max-wait=100ms",
        "--audit-webhook-initial-backoff=10ms",
        "--authorization-mode=RBAC",
    ]
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, *flags) as server:
        yield server


def events_of(log_file: Path, audit_id: str, count: int = 1) -> list[dict[str, Any]]:
    """The events of a request, once there are so many."""

    def found() -> list[dict[str, Any]] | None:
        events = [json.loads(line) for line in log_file.read_text().splitlines()]
        mine = [event for event in events if event["auditID"] == audit_id]
        return mine if len(mine) >= count else None

    return eventually(found, f"{count} events of {audit_id}")


def test_a_write_with_its_objects(api: ApiServer, log_file: Path) -> None:
    body = {"metadata": {"name": "told"}, "data": {"a": "b"}}
    answer = api.http.post(PATH, json=body, headers={"user-agent": "tests/1"})
    (event,) = events_of(log_file, answer.headers["audit-id"])
    stored = answer.json()
    del stored["metadata"]["managedFields"]
    assert event["requestObject"] == body
    assert event["responseObject"] == stored
    assert event.keys() >= {"requestReceivedTimestamp", "stageTimestamp", "sourceIPs"}
    expected = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse",
        "stage": "ResponseComplete",
        "requestURI": PATH,
        "verb": "create",
        "user": {"username": "admin", "uid": "admin-uid", "groups": ["system:masters", "system:authenticated"]},
        "userAgent": "tests/1",
        "objectRef": {"resource": "configmaps", "namespace": "default", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 201},
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
    }
    assert {name: event[name] for name in expected} == expected


def test_yaml_lists_and_refusals_are_told_as_json(api: ApiServer, log_file: Path) -> None:
    text = "metadata: {name: of-yaml}\ndata: {a: b}\n"
    created = api.http.post(PATH, content=text, headers={"content-type": "application/yaml"})
    listed = api.http.get(PATH)
    missing = api.http.get(f"{PATH}/absent")
    assert events_of(log_file, created.headers["audit-id"])[0]["requestObject"]["data"] == {"a": "b"}
    names = [item["metadata"]["name"] for item in listed.json()["items"]]
    (event,) = events_of(log_file, listed.headers["audit-id"])
    assert [item["metadata"]["name"] for item in event["responseObject"]["items"]] == names
    (event,) = events_of(log_file, missing.headers["audit-id"])
    assert event["responseStatus"]["reason"] == "NotFound"
    assert event["responseStatus"]["code"] == 404


def test_secrets_are_told_without_their_content(api: ApiServer, log_file: Path) -> None:
    answer = api.http.post("/api/v1/namespaces/default/secrets", json={"metadata": {"name": "s"}})
    (event,) = events_of(log_file, answer.headers["audit-id"])
    assert event["level"] == "Metadata"
    assert not {"requestObject", "responseObject"} & event.keys()


def test_stages_of_a_write_and_of_a_watch(api: ApiServer, log_file: Path) -> None:
    answer = api.http.post("/api/v1/namespaces", json={"metadata": {"name": "staged"}})
    stages = [event["stage"] for event in events_of(log_file, answer.headers["audit-id"], 2)]
    assert stages == ["RequestReceived", "ResponseComplete"]
    answer = api.http.get("/api/v1/namespaces", params={"watch": "true", "timeoutSeconds": "1"})
    stages = [event["stage"] for event in events_of(log_file, answer.headers["audit-id"], 2)]
    assert stages == ["ResponseStarted", "ResponseComplete"]


def test_who_may_not_and_who_is_unknown(api: ApiServer, log_file: Path) -> None:
    forbidden = api.client("other-token").get(PATH)
    (event,) = events_of(log_file, forbidden.headers["audit-id"])
    assert event["responseStatus"]["code"] == 403
    assert event["annotations"]["authorization.k8s.io/decision"] == "forbid"
    unknown = api.client("nonsense").get(PATH)
    assert unknown.status_code == 401
    (event,) = events_of(log_file, unknown.headers["audit-id"])
    assert event["responseStatus"]["code"] == 401


def test_in_whose_name(api: ApiServer, log_file: Path) -> None:
    answer = api.http.get(PATH, headers={"impersonate-user": "jane"})
    (event,) = events_of(log_file, answer.headers["audit-id"])
    assert event["user"]["username"] == "admin"
    assert event["impersonatedUser"]["username"] == "jane"
    assert answer.status_code == 403


def test_what_no_rule_asks_for_is_not_told(api: ApiServer, log_file: Path) -> None:
    api.http.get("/readyz")
    assert "/readyz" not in log_file.read_text()


def test_the_webhook_gets_the_same_events(api: ApiServer, receiver: Receiver) -> None:
    answer = api.http.post(PATH, json={"metadata": {"name": "sent"}})
    audit_id = answer.headers["audit-id"]
    eventually(lambda: any(event["auditID"] == audit_id for event in receiver.events()), "the event is received")
    assert receiver.refusals == 0
    assert receiver.lists[0].keys() == {"kind", "apiVersion", "metadata", "items"}
    assert receiver.lists[0]["kind"] == "EventList"


def test_metrics(api: ApiServer) -> None:
    lines = api.http.get("/metrics").text.splitlines()
    assert any(line.startswith("apiserver_audit_event_total ") for line in lines)
    assert 'apiserver_audit_error_total{plugin="log"} 0.0' in lines


def test_a_policy_that_cannot_be_used_ends_the_start(tmp_path: Path, etcd: EtcdServer) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text('{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "All"}]}')
    server = ApiServer(tmp_path / "api", etcd.url, f"--audit-policy-file={policy}", "--audit-log-path=-")
    with pytest.raises(RuntimeError, match=r"rules\[0\]\.level: Unsupported value: "):
        server.start()


def test_a_full_disk_stops_nothing(tmp_path: Path, etcd: EtcdServer) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text('{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}')
    flags = (f"--audit-policy-file={policy}", "--audit-log-path=/dev/full", "--audit-log-maxsize=0")
    with ApiServer(tmp_path / "api", etcd.url, *flags) as api:
        assert api.http.get(PATH).status_code == 200

        def lost() -> bool:
            lines = api.http.get("/metrics").text.splitlines()
            line = next(line for line in lines if line.startswith('apiserver_audit_error_total{plugin="log"}'))
            return float(line.split()[-1]) > 0

        eventually(lost, "lost events are counted")
