"""API servers come and go: what a client loses is a connection, never an acknowledged write."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually, eventually_async
from tests.kits.process import TOKEN

RESTARTS = 4
CLIENTS = 8
PATH = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def pair(tmp_path: Path, etcd: EtcdServer) -> Iterator[tuple[ApiServer, ApiServer]]:
    with ApiServer(tmp_path / "one", etcd.url) as one, ApiServer(tmp_path / "two", etcd.url) as two:
        yield one, two


class Client:
    """Updates one object until it is stopped; goes to the other server when a connection fails."""

    def __init__(self, name: str, urls: list[str]) -> None:
        self.name = name
        self.failures: list[str] = []
        self.lost_connections = 0
        self.acknowledged = 0
        self.stopped = False
        self.urls = urls

    async def run(self) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(verify=False, headers=headers, timeout=60) as http:
            body = {"metadata": {"name": self.name}, "data": {"n": "0"}}
            await self._send(http, "POST", PATH, body, good=(201, 409))
            number = 0
            while not self.stopped:
                number += 1
                body = {"metadata": {"name": self.name}, "data": {"n": str(number)}}
                if await self._send(http, "PUT", f"{PATH}/{self.name}", body, good=(200,)):
                    self.acknowledged = number

    async def _send(self, http: httpx.AsyncClient, verb: str, path: str, body: object, good: tuple[int, ...]) -> bool:
        while True:
            try:
                answer = await http.request(verb, self.urls[0] + path, json=body)
            except httpx.TransportError:
                self.lost_connections += 1
                self.urls = [*self.urls[1:], self.urls[0]]
                await asyncio.sleep(0)
                continue
            if answer.status_code not in good:
                self.failures.append(f"{answer.status_code} {answer.text}")
            return answer.status_code in good


async def test_no_request_fails_and_no_write_is_lost_while_a_server_restarts(pair: tuple[ApiServer, ApiServer]) -> None:
    one, two = pair
    clients = [Client(f"client-{number}", [one.url, two.url]) for number in range(CLIENTS)]

    def least() -> int:
        return min(client.acknowledged for client in clients)

    async def restart() -> None:
        for _ in range(RESTARTS):
            goal = least() + 2
            await eventually_async(partial(lambda goal: least() > goal, goal))
            assert await asyncio.to_thread(two.stop) == 0
            await asyncio.to_thread(two.start)
            for client in clients[::2]:
                client.urls = [two.url, one.url]
        for client in clients:
            client.stopped = True

    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.run())
        group.create_task(restart())
    assert [client.failures for client in clients] == [[]] * CLIENTS
    for client in clients:
        stored = one.http.get(f"{PATH}/{client.name}").json()["data"]["n"]
        assert int(stored) == client.acknowledged


def test_a_server_that_goes_says_so_serves_on_and_then_ends_its_watches(tmp_path: Path, etcd: EtcdServer) -> None:
    with ApiServer(tmp_path / "api", etcd.url, "--shutdown-delay-duration=5s") as api:
        with api.watch(PATH) as watch:
            api.signal(signal.SIGTERM)
            eventually(lambda: api.http.get("/readyz").status_code == 500, "/readyz fails")
            assert "[-]shutdown failed" in api.http.get("/readyz?verbose").text
            assert api.http.get("/livez").status_code == 200
            created = api.http.post(PATH, json={"metadata": {"name": "last"}})
            assert created.status_code == 201
            assert created.headers["connection"] == "close"
            assert [obj["metadata"]["name"] for _, obj in watch.rest()] == ["last"]
        assert api.process is not None
        assert api.process.wait(60) == 0
