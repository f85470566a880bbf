"""Quotas hold however many requests come at once, and through however many API servers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.process import TOKEN

PARALLEL = 64
LIMIT = 10


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ApiServer, ApiServer]]:
    folder: Path = tmp_path_factory.mktemp("quota")
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    with EtcdServer(folder) as etcd, ApiServer(folder / "a", etcd.url) as a, ApiServer(folder / "b", etcd.url) as b:
        yield a, b


def make_quota(api: ApiServer, namespace: str, hard: dict[str, str]) -> str:
    """Makes a namespace with a quota that a controller has looked at; returns its path."""
    api.make_namespace(namespace)
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    answer = api.http.post(path, json={"metadata": {"name": "q"}, "spec": {"hard": hard}})
    assert answer.status_code == 201, answer.text
    status = {"hard": hard, "used": dict.fromkeys(hard, "0")}
    patch = {"headers": {"content-type": "application/merge-patch+json"}, "json": {"status": status}}
    assert api.http.patch(f"{path}/q/status", **patch).status_code == 200
    return f"{path}/q"


def create_at_once(servers: tuple[ApiServer, ApiServer], path: str, bodies: list[dict[str, Any]]) -> list[Any]:
    """Sends all requests at the same moment, in turn to both servers; returns the answers."""
    start = threading.Barrier(len(bodies))

    def create(index: int) -> Any:
        with servers[index % 2].client(TOKEN) as http:
            http.get("/version")
            start.wait()
            return http.post(path, json=bodies[index])

    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(create, range(len(bodies))))


def test_a_quota_of_ten_gives_out_ten(servers: tuple[ApiServer, ApiServer]) -> None:
    quota = make_quota(servers[0], "ten", {"configmaps": str(LIMIT)})
    bodies = [{"metadata": {"name": f"c{number}"}} for number in range(PARALLEL)]
    answers = create_at_once(servers, "/api/v1/namespaces/ten/configmaps", bodies)
    codes = [answer.status_code for answer in answers]
    assert sorted(codes) == [201] * LIMIT + [403] * (PARALLEL - LIMIT)
    refusals = {answer.json()["message"].partition("exceeded")[2] for answer in answers if answer.status_code == 403}
    assert refusals == {" quota: q, requested: configmaps=1, used: configmaps=10, limited: configmaps=10"}
    for api in servers:
        assert api.http.get(quota).json()["status"]["used"] == {"configmaps": "10"}
        assert len(api.http.get("/api/v1/namespaces/ten/configmaps").json()["items"]) == LIMIT


def test_unequal_requests_never_exceed_the_sum(servers: tuple[ApiServer, ApiServer]) -> None:
    quota = make_quota(servers[0], "sum", {"requests.cpu": "2", "pods": "60"})
    bodies = []
    for number in range(PARALLEL):
        resources = {"requests": {"cpu": f"{50 + 30 * (number % 4)}m"}}
        container = {"name": "c", "image": "i", "resources": resources}
        bodies.append({"metadata": {"name": f"p{number}"}, "spec": {"containers": [container]}})
    answers = create_at_once(servers, "/api/v1/namespaces/sum/pods", bodies)
    assert {answer.status_code for answer in answers} == {201, 403}
    created = [answer.json() for answer in answers if answer.status_code == 201]
    millis = sum(int(pod["spec"]["containers"][0]["resources"]["requests"]["cpu"][:-1]) for pod in created)
    assert millis <= 2000
    used = servers[1].http.get(quota).json()["status"]["used"]
    assert used == {"requests.cpu": f"{millis}m" if millis % 1000 else str(millis // 1000), "pods": str(len(created))}


def test_a_server_that_is_behind_sees_what_was_given_back(servers: tuple[ApiServer, ApiServer]) -> None:
    quota = make_quota(servers[0], "back", {"secrets": "1"})
    for number in range(20):
        http = servers[number % 2].http
        assert (
            http.post("/api/v1/namespaces/back/secrets", json={"metadata": {"name": f"s{number}"}}).status_code == 201
        )
        patch = {
            "headers": {"content-type": "application/merge-patch+json"},
            "json": {"status": {"used": {"secrets": "0"}}},
        }
        assert http.patch(f"{quota}/status", **patch).status_code == 200
