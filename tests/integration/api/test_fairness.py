"""Flow schemas and priority levels of a real server: the default objects, their keeping, and what answers tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually

ROOT = "/apis/flowcontrol.apiserver.k8s.io/v1"
SCHEMAS, LEVELS = f"{ROOT}/flowschemas", f"{ROOT}/prioritylevelconfigurations"
DEBUG = "/debug/api_priority_and_fairness"
NAMESPACES = "/api/v1/namespaces"
MERGE = {"content-type": "application/merge-patch+json"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("api")
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url) as server:
        yield server


def uid_of(api: ApiServer, path: str) -> str:
    uid: str = api.http.get(path).json()["metadata"]["uid"]
    return uid


def flow(api: ApiServer, token: str) -> tuple[str, str]:
    headers = api.client(token).get(NAMESPACES).headers
    return headers["x-kubernetes-pf-flowschema-uid"], headers["x-kubernetes-pf-prioritylevel-uid"]


def make_schema(api: ApiServer, name: str, level: str) -> None:
    """For jane's requests, before all others but those of the exempt."""
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
    rule = {"subjects": [{"kind": "User", "user": {"name": "jane"}}], "resourceRules": [everything]}
    spec = {"matchingPrecedence": 5, "priorityLevelConfiguration": {"name": level}, "rules": [rule]}
    assert api.http.post(SCHEMAS, json={"metadata": {"name": name}, "spec": spec}).status_code == 201


def make_level(api: ApiServer, name: str, shares: int) -> None:
    limited = {"nominalConcurrencyShares": shares, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}
    body = {"metadata": {"name": name}, "spec": {"type": "Limited", "limited": limited}}
    assert api.http.post(LEVELS, json=body).status_code == 201


def dangling(api: ApiServer, name: str) -> str:
    status: dict[str, Any] = api.http.get(f"{SCHEMAS}/{name}").json()["status"]
    return next((condition["status"] for condition in status.get("conditions", ())), "")


def nominal_seats(api: ApiServer, level: str) -> float:
    begin = f'apiserver_flowcontrol_nominal_limit_seats{{priority_level="{level}"}} '
    lines = api.http.get("/metrics").text.splitlines()
    return next(float(line.removeprefix(begin)) for line in lines if line.startswith(begin))


def test_every_answer_names_its_schema_and_level(api: ApiServer) -> None:
    assert flow(api, "other-token") == (
        uid_of(api, f"{SCHEMAS}/global-default"),
        uid_of(api, f"{LEVELS}/global-default"),
    )
    assert api.http.get(NAMESPACES).headers["x-kubernetes-pf-flowschema-uid"] == uid_of(api, f"{SCHEMAS}/exempt")
    assert api.http.get("/apis").headers["x-kubernetes-pf-flowschema-uid"] == uid_of(api, f"{SCHEMAS}/exempt")
    assert "x-kubernetes-pf-flowschema-uid" in api.client("other-token").get("/nowhere").headers


def test_a_schema_counts_once_its_level_exists(api: ApiServer) -> None:
    make_schema(api, "for-jane", "later")
    eventually(lambda: dangling(api, "for-jane") == "True", "the level is missing")
    make_level(api, "later", 10)
    eventually(lambda: dangling(api, "for-jane") == "False", "the level is there")
    expected = (uid_of(api, f"{SCHEMAS}/for-jane"), uid_of(api, f"{LEVELS}/later"))
    eventually(lambda: flow(api, "other-token") == expected, "requests go to the level")
    assert api.http.delete(f"{SCHEMAS}/for-jane").status_code == 200
    eventually(lambda: flow(api, "other-token") != expected, "requests go elsewhere")


def test_a_level_without_a_seat_left_refuses_and_others_go_on(api: ApiServer) -> None:
    make_level(api, "tiny", 0)
    make_schema(api, "jane-waits", "tiny")
    uid = uid_of(api, f"{SCHEMAS}/jane-waits")
    eventually(lambda: flow(api, "other-token")[0] == uid, "requests go to the level")
    jane = api.client("other-token")
    with ThreadPoolExecutor(8) as pool:

        def refused() -> bool:
            answers = list(pool.map(lambda _: jane.get(NAMESPACES), range(40)))
            assert {answer.status_code for answer in answers} <= {200, 429}
            late = [answer for answer in answers if answer.status_code == 429]
            assert all(answer.headers["retry-after"] == "1" for answer in late)
            assert api.http.get(NAMESPACES).status_code == 200
            return bool(late)

        eventually(refused, "one of many is refused")
    assert 'priority_level="tiny",reason="concurrency-limit"' in api.http.get("/metrics").text
    assert api.http.delete(f"{SCHEMAS}/jane-waits").status_code == 200


def test_default_objects_come_back_and_keep_their_spec_unless_somebody_takes_them_over(api: ApiServer) -> None:
    before = uid_of(api, f"{SCHEMAS}/catch-all")
    assert api.http.delete(f"{SCHEMAS}/catch-all").status_code == 200
    eventually(lambda: api.http.get(f"{SCHEMAS}/catch-all").status_code == 200, "catch-all is made anew")
    assert uid_of(api, f"{SCHEMAS}/catch-all") != before

    def shares(level: str) -> int:
        number: int = api.http.get(f"{LEVELS}/{level}").json()["spec"]["limited"]["nominalConcurrencyShares"]
        return number

    def has_its_own(level: str) -> bool:
        return shares(level) != 77

    change: dict[str, Any] = {"spec": {"limited": {"nominalConcurrencyShares": 77}}}
    for level in ("system", "catch-all"):
        api.http.patch(f"{LEVELS}/{level}", content=json.dumps(change), headers=MERGE).raise_for_status()
        eventually(partial(has_its_own, level), f"{level} has its own shares")
    change["metadata"] = {"annotations": {"apf.kubernetes.io/autoupdate-spec": "false"}}
    api.http.patch(f"{LEVELS}/system", content=json.dumps(change), headers=MERGE).raise_for_status()
    eventually(lambda: nominal_seats(api, "system") > 120, "the server takes the shares over")  # 74 by default
    assert shares("system") == 77


def test_debug_tables(api: ApiServer) -> None:
    levels = api.http.get(f"{DEBUG}/dump_priority_levels").text.splitlines()
    assert {line.split(",")[0] for line in levels[1:]} >= {"exempt", "catch-all", "workload-low"}
    assert len(api.http.get(f"{DEBUG}/dump_queues").text.splitlines()) > 400
    assert api.http.get(f"{DEBUG}/dump_requests?includeRequestDetails=1").text.startswith("PriorityLevelName,")


def test_without_fairness(tmp_path: Path, etcd: EtcdServer) -> None:
    with ApiServer(tmp_path / "api", etcd.url, "--enable-priority-and-fairness=false") as api:
        answer = api.http.get(NAMESPACES)
        assert answer.status_code == 200
        assert "x-kubernetes-pf-flowschema-uid" not in answer.headers
        assert api.http.get(f"{DEBUG}/dump_queues").status_code == 404
        assert api.http.get(SCHEMAS).json()["items"] == []
