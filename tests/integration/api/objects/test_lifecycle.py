"""Several servers on one etcd, servers that stop or are killed, and an etcd that is away."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.kits.control_plane.apiserver import ApiServer, as_item
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually

MERGE = {"content-type": "application/merge-patch+json"}
LABEL = re.compile(r'\w+="[^"]*"')
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def etcd_server(tmp_path: Path) -> Iterator[EtcdServer]:
    with EtcdServer(tmp_path) as etcd:
        yield etcd


@pytest.fixture
def two(etcd_server: EtcdServer, tmp_path: Path) -> Iterator[tuple[ApiServer, ApiServer]]:
    with ApiServer(tmp_path / "one", etcd_server.url) as one, ApiServer(tmp_path / "two", etcd_server.url) as other:
        yield one, other


@pytest.fixture
def one(etcd_server: EtcdServer, tmp_path: Path) -> Iterator[ApiServer]:
    with ApiServer(tmp_path / "one", etcd_server.url) as server:
        yield server


def make(api: ApiServer, name: str, **data: str) -> dict[str, Any]:
    answer = api.http.post(CONFIGMAPS, json={"metadata": {"name": name}, "data": data})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


# Two servers


def test_what_one_server_wrote_the_other_reads_at_once(two: tuple[ApiServer, ApiServer]) -> None:
    one, other = two
    for index in range(30):
        made = make(one, f"c-{index}")
        assert other.http.get(f"{CONFIGMAPS}/c-{index}").json() == made
        assert as_item(made) in other.http.get(CONFIGMAPS).json()["items"]
        patched = other.http.patch(f"{CONFIGMAPS}/c-{index}", json={"data": {"a": "1"}}, headers=MERGE).json()
        assert one.http.get(f"{CONFIGMAPS}/c-{index}").json() == patched
        assert one.http.delete(f"{CONFIGMAPS}/c-{index}").status_code == 200
        assert other.http.get(f"{CONFIGMAPS}/c-{index}").status_code == 404


def test_a_namespace_of_one_server_takes_objects_of_the_other_at_once(two: tuple[ApiServer, ApiServer]) -> None:
    one, other = two
    for index in range(10):
        path = one.make_namespace(f"n-{index}")
        answer = other.http.post(f"{path}/configmaps", json={"metadata": {"name": "c"}})
        assert answer.status_code == 201, answer.text


def test_no_update_is_lost_between_two_servers(two: tuple[ApiServer, ApiServer]) -> None:
    make(two[0], "counter", n="0")

    def add_ones(server: ApiServer) -> None:
        with server.client("test-token") as http:
            done = 0
            while done < 25:
                current = http.get(f"{CONFIGMAPS}/counter").json()
                current["data"]["n"] = str(int(current["data"]["n"]) + 1)
                done += http.put(f"{CONFIGMAPS}/counter", json=current).status_code == 200

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add_ones, [*two, *two]))
    assert two[0].http.get(f"{CONFIGMAPS}/counter").json()["data"]["n"] == "100"


def test_patches_of_two_servers_are_all_applied(two: tuple[ApiServer, ApiServer]) -> None:
    make(two[0], "shared")

    def patch(index: int) -> int:
        body = {"data": {f"k-{index}": "x"}}
        return two[index % 2].http.patch(f"{CONFIGMAPS}/shared", json=body, headers=MERGE).status_code

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(patch, range(80))) == {200}
    assert len(two[1].http.get(f"{CONFIGMAPS}/shared").json()["data"]) == 80


def test_of_two_creators_of_one_name_one_wins(two: tuple[ApiServer, ApiServer]) -> None:
    def create(index: int) -> int:
        body = {"metadata": {"name": f"c-{index // 2}"}}
        return two[index % 2].http.post(CONFIGMAPS, json=body).status_code

    with ThreadPoolExecutor(8) as threads:
        codes = list(threads.map(create, range(60)))
    assert (codes.count(201), codes.count(409)) == (30, 30)


def test_a_watch_goes_on_at_another_server(two: tuple[ApiServer, ApiServer]) -> None:
    one, other = two
    first = make(one, "a")
    with one.watch(CONFIGMAPS, resourceVersion=first["metadata"]["resourceVersion"], timeoutSeconds="30") as watch:
        second = make(other, "b")
        assert watch.next() == ("ADDED", second)
    third = make(one, "c")
    with other.watch(CONFIGMAPS, resourceVersion=second["metadata"]["resourceVersion"], timeoutSeconds="30") as watch:
        assert watch.next() == ("ADDED", third)


def test_pages_go_on_at_another_server(two: tuple[ApiServer, ApiServer]) -> None:
    for index in range(6):
        make(two[0], f"c-{index}")
    page = two[0].http.get(CONFIGMAPS, params={"limit": "4"}).json()
    rest = two[1].http.get(CONFIGMAPS, params={"limit": "4", "continue": page["metadata"]["continue"]}).json()
    assert [item["metadata"]["name"] for item in page["items"] + rest["items"]] == [f"c-{index}" for index in range(6)]
    assert rest["metadata"]["resourceVersion"] == page["metadata"]["resourceVersion"]


# Endpoints of the kubernetes Service


def test_every_running_server_is_an_endpoint(etcd_server: EtcdServer, tmp_path: Path) -> None:
    path = "/api/v1/namespaces/default/endpoints/kubernetes"

    def addresses(api: ApiServer) -> list[str]:
        subsets = api.http.get(path).json().get("subsets", [])
        return [address["ip"] for subset in subsets for address in subset["addresses"]]

    with ApiServer(tmp_path / "one", etcd_server.url, "--advertise-address=192.0.2.1") as one:
        eventually(lambda: addresses(one) == ["192.0.2.1"])
        with ApiServer(tmp_path / "two", etcd_server.url, "--advertise-address=192.0.2.2"):
            eventually(lambda: addresses(one) == ["192.0.2.1", "192.0.2.2"])
        assert addresses(one) == ["192.0.2.1"]
        slices = one.http.get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes").json()
        assert [endpoint["addresses"] for endpoint in slices["endpoints"]] == [["192.0.2.1"]]


# Stopping and dying


def test_a_server_that_stops_ends_its_watches_and_finishes_its_requests(one: ApiServer) -> None:
    start = make(one, "a")["metadata"]["resourceVersion"]
    ended = []
    with one.watch(CONFIGMAPS, resourceVersion=start, timeoutSeconds="600") as watch:
        thread = threading.Thread(target=lambda: ended.append(watch.rest()))
        thread.start()
        begin = time.monotonic()
        one.stop()
        thread.join(10)
        assert ended == [[]]
        assert time.monotonic() - begin < 8


def test_nothing_acknowledged_is_lost_when_a_server_is_killed(one: ApiServer) -> None:
    acknowledged: list[str] = []
    stop = threading.Event()

    def write(prefix: int) -> None:
        index = 0
        with one.client("test-token") as http:
            while not stop.is_set():
                index += 1
                try:
                    answer = http.post(CONFIGMAPS, json={"metadata": {"name": f"c-{prefix}-{index}"}})
                except httpx.TransportError:
                    return
                if answer.status_code == 201:
                    acknowledged.append(answer.json()["metadata"]["name"])

    threads = [threading.Thread(target=write, args=(prefix,)) for prefix in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(acknowledged) > 100)
    one.kill()
    stop.set()
    for thread in threads:
        thread.join()
    one.start()
    stored = {item["metadata"]["name"] for item in one.http.get(CONFIGMAPS).json()["items"]}
    assert set(acknowledged) <= stored


def test_while_etcd_is_away_reads_from_memory_work_and_the_rest_says_so(
    one: ApiServer, etcd_server: EtcdServer
) -> None:
    made = make(one, "a")
    etcd_server.kill()
    eventually(lambda: one.http.get("/readyz").status_code == 500)
    assert one.http.get("/livez").status_code == 200
    assert one.http.get(f"{CONFIGMAPS}/a", params={"resourceVersion": "0"}).json() == made
    answer = one.http.post(CONFIGMAPS, json={"metadata": {"name": "b"}})
    assert (answer.status_code, answer.json()["reason"]) == (503, "ServiceUnavailable")
    assert answer.headers["retry-after"] == "1"
    etcd_server.start()
    eventually(lambda: one.http.get("/readyz").status_code == 200)
    assert one.http.get(f"{CONFIGMAPS}/a").json() == made
    make(one, "c")


def test_a_server_waits_for_its_etcd(etcd_server: EtcdServer, tmp_path: Path) -> None:
    etcd_server.stop()
    server = ApiServer(tmp_path / "one", etcd_server.url)
    started = threading.Thread(target=server.start)
    started.start()
    try:
        probe = httpx.Client(base_url=server.url, verify=False)
        eventually(lambda: _code(probe, "/livez") == 200)
        assert _code(probe, "/readyz") == 500
        answer = probe.get(CONFIGMAPS, params={"resourceVersion": "0"}, headers={"authorization": "Bearer test-token"})
        assert answer.status_code == 503
    finally:
        etcd_server.start()
        started.join()
    assert server.http.get("/api/v1/namespaces/default").status_code == 200
    server.stop()


def _code(probe: httpx.Client, path: str) -> int:
    try:
        return probe.get(path).status_code
    except httpx.TransportError:
        return 0


# Limits


def test_more_writes_than_allowed_at_once_are_asked_to_come_back(etcd_server: EtcdServer, tmp_path: Path) -> None:
    flags = ["--max-mutating-requests-inflight=1", "--max-requests-inflight=400", "--request-timeout=2s"]
    flags.append("--enable-priority-and-fairness=false")
    with ApiServer(tmp_path / "one", etcd_server.url, *flags) as server:
        etcd_server.pause()
        try:
            with ThreadPoolExecutor(4) as threads:
                body = {"metadata": {"name": "c"}}
                answers = list(threads.map(lambda _: server.http.post(CONFIGMAPS, json=body), range(4)))
        finally:
            etcd_server.resume()
        codes = sorted(answer.status_code for answer in answers)
        assert codes == [429, 429, 429, 504]
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert (refused.json()["reason"], refused.headers["retry-after"]) == ("TooManyRequests", "1")
        late = next(answer for answer in answers if answer.status_code == 504)
        assert late.json()["reason"] == "Timeout"
        labels = 'code="504",group="",resource="configmaps",subresource="",verb="create",version="v1"'
        counts = [line for line in server.http.get("/metrics").text.splitlines() if 'code="504"' in line]
        assert [set(LABEL.findall(line)) for line in counts] == [set(LABEL.findall(labels))]
        eventually(lambda: server.http.get("/readyz").status_code == 200)
        assert server.http.get(CONFIGMAPS).status_code == 200


def test_events_expire(etcd_server: EtcdServer, tmp_path: Path) -> None:
    events = "/api/v1/namespaces/default/events"
    with ApiServer(tmp_path / "one", etcd_server.url, "--event-ttl=2s") as server:
        body = {"metadata": {"name": "e"}, "involvedObject": {"namespace": "default", "kind": "Pod", "name": "p"}}
        assert server.http.post(events, json=body).status_code == 201
        eventually(lambda: server.http.get(f"{events}/e").status_code == 404)
