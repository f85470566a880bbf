"""ResourceQuotas with their controller: limits are enforced, the use is counted and given back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.eventually import eventually
from tests.kits.manifests import configmap
from tests.kits.process import TOKEN, Daemon, controller_manager

Dict = dict[str, Any]


@pytest.fixture(scope="module")
def manager(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with controller_manager(api.url, tmp_path_factory.mktemp("manager")) as running:
        yield running


def make_quota(api: ApiServer, namespace: str, hard: Dict, **spec: Any) -> None:
    body = {"metadata": {"name": "q"}, "spec": {"hard": hard, **spec}}
    answer = api.http.post(f"/api/v1/namespaces/{namespace}/resourcequotas", json=body)
    assert answer.status_code == 201, answer.text


def status(api: ApiServer, namespace: str) -> Dict:
    found: Dict = api.http.get(f"/api/v1/namespaces/{namespace}/resourcequotas/q").json()["status"]
    return found


def becomes(api: ApiServer, namespace: str, used: Dict) -> None:
    eventually(lambda: status(api, namespace).get("used") == used, f"used becomes {used}")


def test_the_use_is_counted_charged_and_given_back(api: ApiServer, manager: Daemon, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/secrets"
    assert api.http.post(path, json={"metadata": {"name": "before"}}).status_code == 201
    hard = {"secrets": "2", "count/deployments.apps": "1", "pods": "3", "services.nodeports": "2"}
    make_quota(api, namespace, hard)
    used = {"secrets": "1", "count/deployments.apps": "0", "pods": "0", "services.nodeports": "0"}
    becomes(api, namespace, used)
    assert status(api, namespace)["hard"] == hard
    assert api.http.post(path, json={"metadata": {"name": "second"}}).status_code == 201
    refused = api.http.post(path, json={"metadata": {"name": "third"}})
    assert refused.json()["message"] == (
        'secrets "third" is forbidden: exceeded quota: q, requested: secrets=1, used: secrets=2, limited: secrets=2'
    )
    assert api.http.delete(f"{path}/before").status_code == 200
    becomes(api, namespace, used)
    assert api.http.post(path, json={"metadata": {"name": "third"}}).status_code == 201


def test_what_a_failed_request_was_charged_is_given_back(api: ApiServer, manager: Daemon, namespace: str) -> None:
    make_quota(api, namespace, {"configmaps": "3"})
    becomes(api, namespace, {"configmaps": "1"})  # the root certificate
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    assert api.http.post(path, json=configmap("a")).status_code == 201
    assert api.http.post(path, json=configmap("a")).status_code == 409
    assert status(api, namespace)["used"] == {"configmaps": "3"}
    becomes(api, namespace, {"configmaps": "2"})


def test_a_kind_that_is_not_served_is_left_out(api: ApiServer, manager: Daemon, namespace: str) -> None:
    """And limits are never enforced of what has not been counted."""
    make_quota(api, namespace, {"count/widgets.example.com": "1", "replicationcontrollers": "1"})
    hard = eventually(lambda: status(api, namespace).get("hard"), "limits are enforced")
    assert hard == {"count/widgets.example.com": "1", "replicationcontrollers": "1"}
    assert status(api, namespace)["used"] == {"replicationcontrollers": "0"}


def test_a_changed_limit_is_enforced(api: ApiServer, manager: Daemon, namespace: str) -> None:
    make_quota(api, namespace, {"services": "0"})
    becomes(api, namespace, {"services": "0"})
    body = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    path = f"/api/v1/namespaces/{namespace}/services"
    assert api.http.post(path, json=body).status_code == 403
    patch = {"headers": {"content-type": "application/merge-patch+json"}, "json": {"spec": {"hard": {"services": "1"}}}}
    assert api.http.patch(f"/api/v1/namespaces/{namespace}/resourcequotas/q", **patch).status_code == 200
    eventually(lambda: status(api, namespace)["hard"] == {"services": "1"})
    assert api.http.post(path, json=body).status_code == 201


def test_a_quota_holds_while_objects_come_and_go(api: ApiServer, manager: Daemon, namespace: str) -> None:
    """Objects are created and deleted at once, while the controller counts: there are never more than allowed."""
    limit = 7
    make_quota(api, namespace, {"secrets": str(limit)})
    becomes(api, namespace, {"secrets": "0"})
    path = f"/api/v1/namespaces/{namespace}/secrets"
    worst, stop = [0], threading.Event()

    def churn(worker: int) -> None:
        with api.client(TOKEN) as http:
            for number in range(60):
                name = f"s-{worker}-{number}"
                if http.post(path, json={"metadata": {"name": name}}).status_code == 201 and number % 3:
                    http.delete(f"{path}/{name}")

    def look() -> None:
        with api.client(TOKEN) as http:
            while not stop.is_set():
                worst[0] = max(worst[0], len(http.get(path).json()["items"]))

    workers = [threading.Thread(target=churn, args=(worker,)) for worker in range(8)]
    watcher = threading.Thread(target=look)
    for thread in (*workers, watcher):
        thread.start()
    for thread in workers:
        thread.join()
    stop.set()
    watcher.join()
    assert 0 < worst[0] <= limit
    left = len(api.http.get(path).json()["items"])
    becomes(api, namespace, {"secrets": str(left)})
