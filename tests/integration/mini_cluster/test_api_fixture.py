"""The API server inside the tests' process: the plugin's fixtures, httpx's own transport, and uvicorn."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
import websockets.sync.client
from fastapi import FastAPI

from apiserver.app import create_app
from apiserver.options.options import parse_options
from mini_cluster.inprocess import InProcessApi
from mini_cluster.pytest_plugin import api, namespace  # noqa: F401  (here the folder's own fixtures hide them)
from tests.kits.control_plane.apiserver import TOKEN, TOKENS
from tests.kits.control_plane.etcd import EtcdServer, free_port
from tests.kits.eventually import eventually, eventually_async

pytestmark = pytest.mark.usefixtures("api")
ADMIN = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def config_maps(namespace: str) -> str:  # noqa: F811
    return f"/api/v1/namespaces/{namespace}/configmaps"


def test_a_function_uses_the_api_without_a_socket(api: InProcessApi, config_maps: str) -> None:  # noqa: F811
    assert api.http.post(config_maps, json={"metadata": {"name": "c"}, "data": {"a": "1"}}).status_code == 201
    assert api.http.get(f"{config_maps}/c").json()["data"] == {"a": "1"}
    assert api.http.get("/apis/apps/v1").json()["kind"] == "APIResourceList"
    assert api.http.get("/version").json()["major"] == "1"


def test_a_client_needs_an_identity(api: InProcessApi, config_maps: str) -> None:  # noqa: F811
    with api.client() as anonymous:
        assert anonymous.get(config_maps).status_code == 403
        assert anonymous.get("/readyz").status_code == 200


async def test_a_coroutine_sees_events_as_they_come(api: InProcessApi, config_maps: str) -> None:  # noqa: F811
    async with api.async_client() as client:
        async with client.stream("GET", config_maps, params={"watch": "true"}) as answer:
            assert answer.status_code == 200
            lines = answer.aiter_lines()
            for name in ("a", "b"):
                await client.post(config_maps, json={"metadata": {"name": name}})
                event = json.loads(await anext(lines))
                assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", name)
        metrics = (await client.get("/metrics")).text
        assert "apiserver_longrunning_requests 0.0" in metrics, "the watch ends with its reader"


def test_a_large_body_is_refused(api: InProcessApi, config_maps: str) -> None:  # noqa: F811
    answer = api.http.post(config_maps, content=b" " * (3 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["reason"]) == (413, "RequestEntityTooLarge")


def test_what_needs_another_protocol_is_refused_clearly(api: InProcessApi, config_maps: str) -> None:  # noqa: F811
    pods = config_maps.replace("configmaps", "pods")
    status = {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}]}
    assert api.http.post("/api/v1/nodes", json={"metadata": {"name": "n"}, "status": status}).status_code == 201
    spec = {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}
    assert api.http.post(pods, json={"metadata": {"name": "p"}, "spec": spec}).status_code == 201
    headers = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
    answer = api.http.post(f"{pods}/p/exec", params={"command": "ls", "stdout": "1"}, headers=headers)
    assert answer.status_code == 501
    assert "need the API server's own HTTP server" in answer.json()["message"]


# The application under others' servers


@pytest.fixture
def app(etcd: EtcdServer, tmp_path: Path) -> FastAPI:
    tokens = tmp_path / "tokens.csv"
    tokens.write_text(TOKENS)
    flags = [f"--etcd-servers={etcd.url}", "--bind-address=127.0.0.1", f"--cert-dir={tmp_path}"]
    return create_app(parse_options([*flags, f"--token-auth-file={tokens}"]))


async def test_httpx_calls_the_application_itself(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=ADMIN) as client:
        with pytest.raises(RuntimeError, match="lifespan has not begun"):
            await client.get("/api/v1/namespaces")

        async def ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        async with app.router.lifespan_context(app):
            await eventually_async(ready)
            names = [item["metadata"]["name"] for item in (await client.get("/api/v1/namespaces")).json()["items"]]
            assert "default" in names
            answer = await client.get("/api/v1/namespaces", params={"watch": "true", "timeoutSeconds": "1"})
            assert {json.loads(line)["type"] for line in answer.text.splitlines()} == {"ADDED"}


@contextmanager
def served_by_uvicorn(app: FastAPI) -> Iterator[str]:
    """The address, without a scheme."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started)
        yield f"127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


def test_uvicorn_serves_the_application(app: FastAPI) -> None:
    with served_by_uvicorn(app) as address, httpx.Client(base_url=f"http://{address}", headers=ADMIN) as client:
        eventually(lambda: client.get("/readyz").status_code == 200)
        path = "/api/v1/namespaces/default/configmaps"
        with client.stream("GET", path, params={"watch": "true"}) as answer:
            lines = answer.iter_lines()
            assert client.post(path, json={"metadata": {"name": "c"}}).status_code == 201
            while (event := json.loads(next(lines)))["object"]["metadata"]["name"] != "c":
                continue
            assert event["type"] == "ADDED"
        pods = f"ws://{address}/api/v1/namespaces/default/pods/p/exec?command=ls"
        with pytest.raises(websockets.exceptions.InvalidStatus, match="403"):
            websockets.sync.client.connect(pods, additional_headers=ADMIN)
