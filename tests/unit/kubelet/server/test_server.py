"""The kubelet's server over real TLS on loopback, on the fake runtime: logs, exec, attach, who may ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.kits.identity.certificates import write_certificates
from tests.kits.net.backend import UVLOOP, Backend
from tests.kits.node.kubeletserver import RUNNING, V5, Bench, messages, server_bench


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_certificates(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def anyio_backend() -> Backend:
    return UVLOOP


@pytest.fixture
async def bench(files: dict[str, Path]) -> AsyncIterator[Bench]:
    async with server_bench(files) as bench:
        yield bench


# --- who may ask


async def test_probes_are_open_and_everything_else_needs_a_certificate(bench: Bench) -> None:
    await bench.start(*RUNNING)
    assert (await bench.get("/healthz", certificate=False)).text == "ok"
    for path in ("/pods", "/metrics", "/containerLogs/default/web/app", "/stats/summary", "/exec/default/web/app"):
        assert (await bench.get(path, certificate=False)).status_code == 401
    with pytest.raises(InvalidStatus) as caught:
        async with bench.socket("/exec/default/web/app?command=cat&stdout=1", certificate=False):
            pass
    assert caught.value.response.status_code == 401
    assert (await bench.get("/metrics")).status_code == 200


async def test_a_failing_check_makes_the_probe_fail(bench: Bench) -> None:
    bench.server.health.add_check("pleg", lambda: "stuck")
    answer = await bench.get("/healthz", certificate=False)
    assert answer.status_code == 500
    assert "stuck" in answer.text


# --- plain requests


async def test_pods_are_listed(bench: Bench) -> None:
    await bench.start(*RUNNING)
    document = (await bench.get("/pods")).json()
    assert document["kind"] == "PodList"
    assert [item["metadata"]["name"] for item in document["items"]] == ["web"]


async def test_the_stats_summary_has_node_and_containers(bench: Bench) -> None:
    await bench.start(*RUNNING)
    document = (await bench.get("/stats/summary")).json()
    assert document["node"]["nodeName"] == "worker-1"
    assert document["node"]["memory"]["workingSetBytes"] > 0
    assert document["pods"][0]["podRef"] == {"name": "web", "namespace": "default", "uid": "uid-1"}
    assert document["pods"][0]["containers"][0]["cpu"]["usageCoreNanoSeconds"] == 1_000_000
    short = (await bench.get("/stats/summary?only_cpu_and_memory=true")).json()
    assert "fs" not in short["node"]


@pytest.mark.parametrize(
    ("path", "series"),
    [
        ("/metrics", "kubelet_running_pods 0"),
        ("/metrics/resource", 'container_cpu_usage_seconds_total{container="app",namespace="default",pod="web"} 0.001'),
        ("/metrics/cadvisor", "machine_cpu_cores{"),
        ("/metrics/probes", "# TYPE prober_probe_total counter"),
    ],
)
async def test_metrics(path: str, series: str, bench: Bench) -> None:
    await bench.start(*RUNNING)
    answer = await bench.get(path)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert series in answer.text


async def test_a_scrape_while_the_runtime_is_down_says_so(bench: Bench) -> None:
    bench.runtime.available = False
    assert "resource_scrape_error 1" in (await bench.get("/metrics/resource")).text
    assert (await bench.get("/stats/summary")).status_code == 500


async def test_the_configuration_in_effect_is_shown(bench: Bench) -> None:
    assert (await bench.get("/configz")).json() == {"kubeletconfig": {"maxPods": 110}}


async def test_logs_of_a_container(bench: Bench) -> None:
    await bench.start(*RUNNING)
    path = "/containerLogs/default/web/app"
    answer = await bench.get(path)
    assert (answer.status_code, answer.text) == (200, "one\ntwo\n")
    assert answer.headers["content-type"].startswith("text/plain")
    assert (await bench.get(f"{path}?tailLines=1")).text == "two\n"
    assert (await bench.get(f"{path}?limitBytes=6")).text == "one\ntw"
    assert (await bench.get(f"{path}?stream=Stderr")).text == "two\n"
    assert "Z one\n" in (await bench.get(f"{path}?timestamps=true")).text


async def test_followed_logs_come_as_they_are_written_and_end_with_the_container(bench: Bench) -> None:
    await bench.start("sleep", "1000")
    async with bench.client() as client:
        async with client.stream("GET", "/containerLogs/default/web/app?follow=true") as answer:
            # The head is there though nothing has been written yet.
            assert answer.status_code == 200
            container = bench.runtime.containers[bench.container_id]
            container.lines.append((bench.runtime.now(), "stdout", b"later\n"))
            container.notify()
            chunks = answer.aiter_bytes()
            assert await anext(chunks) == b"later\n"
            bench.runtime.exit(bench.container_id, 0)
            assert [chunk async for chunk in chunks] == []


async def test_a_client_that_leaves_ends_its_follow(bench: Bench) -> None:
    await bench.start("sleep", "1000")
    closed = asyncio.Event()
    logs = bench.runtime.logs

    async def watched(*args: Any) -> Any:
        try:
            async for data in logs(*args):
                yield data
        finally:
            closed.set()

    bench.runtime.logs = watched  # type: ignore[method-assign, assignment]
    async with bench.client() as client:
        async with client.stream("GET", "/containerLogs/default/web/app?follow=true"):
            pass
    await asyncio.wait_for(closed.wait(), 5)


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/containerLogs/default/none/app", 404, "pod does not exist"),
        ("/containerLogs/default/web/other", 400, "container other is not valid for pod web"),
        ("/containerLogs/default/web/app?tailLines=x", 400, "is not a number"),
        ("/containerLogs/default/web/app?previous=true", 400, "previous terminated container"),
        ("/containerLogs/default/web", 404, "404 page not found"),
        ("/exec/default/web/app?command=true", 400, "WebSocket"),
        ("/other", 404, "404 page not found"),
    ],
)
async def test_what_cannot_be_served_is_refused_in_plain_text(bench: Bench, path: str, status: int, words: str) -> None:
    await bench.start(*RUNNING)
    answer = await bench.get(path)
    assert answer.status_code == status
    assert words in answer.text


async def test_a_runtime_that_is_down_is_a_server_error(bench: Bench) -> None:
    await bench.start(*RUNNING)
    bench.runtime.available = False
    assert (await bench.get("/containerLogs/default/web/app")).status_code == 500


# --- exec and attach


@pytest.mark.parametrize("protocol", [V5, "v4.channel.k8s.io"])
async def test_exec_gives_both_streams_and_the_exit_code(bench: Bench, protocol: str) -> None:
    await bench.start(*RUNNING)
    query = "command=sh&command=-c&command=echo+out%3B+echo+err+%3E%262%3B+exit+3&output=1&error=1"
    async with bench.socket(f"/exec/default/web/app?{query}", protocol=protocol) as connection:
        assert connection.subprotocol == protocol
        found = await messages(connection)
    assert found[0] == (1, b"")
    assert found[1:3] == [(1, b"out\n"), (2, b"err\n")]
    status = json.loads(found[3][1])
    assert (found[3][0], status["reason"]) == (3, "NonZeroExitCode")
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


async def test_success_is_said_too(bench: Bench) -> None:
    await bench.start(*RUNNING)
    async with bench.socket("/exec/default/web/app?command=true&stdout=true") as connection:
        assert json.loads((await messages(connection))[-1][1]) == {"metadata": {}, "status": "Success"}


async def test_stdin_reaches_the_command_and_closing_it_ends_the_command(bench: Bench) -> None:
    await bench.start(*RUNNING)
    async with bench.socket("/exec/default/web/app?command=cat&stdin=1&stdout=1") as connection:
        await connection.send(b"\x00hello ")
        await connection.send(b"\x00world")
        await connection.send(b"\xff\x00")
        found = await messages(connection)
    assert b"".join(data for channel, data in found if channel == 1) == b"hello world"
    assert json.loads(found[-1][1])["status"] == "Success"


async def test_stdin_that_was_not_asked_for_is_ignored(bench: Bench) -> None:
    await bench.start(*RUNNING)
    async with bench.socket("/exec/default/web/app?command=echo&command=hi&stdout=1") as connection:
        await connection.send(b"\x00ignored")
        await connection.send(b"")
        assert (1, b"hi\n") in await messages(connection)


async def test_the_terminals_size_is_passed_on(bench: Bench) -> None:
    await bench.start(*RUNNING)
    async with bench.socket("/exec/default/web/app?command=cat&stdin=1&stdout=1&tty=1") as connection:
        await connection.send(b'\x04{"Width": 101, "Height": 33}')
        await connection.send(b'\x04{"Width": -1, "Height": 33}')
        await connection.send(b"\x04nonsense")
        await connection.send(b"\xff\x00")
        await messages(connection)
    assert bench.runtime.sizes == [(101, 33)]


async def test_a_client_that_leaves_ends_the_session(bench: Bench) -> None:
    await bench.start(*RUNNING)
    sessions = []
    open_session = bench.runtime.exec_stream

    async def noted(*args: Any, **kwargs: Any) -> Any:
        sessions.append(await open_session(*args, **kwargs))
        return sessions[-1]

    bench.runtime.exec_stream = noted  # type: ignore[method-assign]
    async with bench.socket("/exec/default/web/app?command=cat&stdin=1&stdout=1") as connection:
        await connection.recv()
    await asyncio.wait_for(sessions[0].closed.wait(), 5)


async def test_attach_uses_what_the_container_was_made_with(bench: Bench) -> None:
    await bench.start("cat", stdin=True)
    async with bench.socket("/attach/default/web/app?input=1&output=1&error=1") as connection:
        assert await connection.recv() == b"\x01"
        await connection.send(b"\x00to the process\n")
        assert await connection.recv() == b"\x01to the process\n"
        await connection.send(b"\xff\x00")
        assert json.loads((await messages(connection))[-1][1])["status"] == "Success"


@pytest.mark.parametrize(
    ("path", "protocol", "status"),
    [
        ("/exec/default/none/app?command=true&stdout=1", V5, 404),
        ("/exec/default/web/other?command=true&stdout=1", V5, 404),
        ("/exec/default/web/app?stdout=1", V5, 400),
        ("/exec/default/web/app?command=true", V5, 400),
        ("/exec/default/web/app?command=true&stdout=1", "v9.channel.k8s.io", 400),
        ("/portForward/default/web", V5, 400),
        ("/portForward/default/none", "v4.channel.k8s.io", 404),
    ],
)
async def test_streams_that_cannot_be_are_refused_before_the_handshake(
    bench: Bench, caplog: pytest.LogCaptureFixture, path: str, protocol: str, status: int
) -> None:
    await bench.start(*RUNNING)
    with pytest.raises(InvalidStatus) as caught:
        async with bench.socket(path, protocol=protocol):
            pass
    assert caught.value.response.status_code == status

    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_container_that_does_not_run_has_no_exec(bench: Bench) -> None:
    await bench.start("true")
    with pytest.raises(InvalidStatus) as caught:
        async with bench.socket("/exec/default/web/app?command=true&stdout=1"):
            pass
    assert caught.value.response.status_code == 404


async def test_a_server_that_stops_tells_its_sessions_so(files: dict[str, Path]) -> None:
    async with server_bench(files) as bench:
        await bench.start(*RUNNING)
        connection = await bench.socket("/exec/default/web/app?command=cat&stdin=1&stdout=1")
        assert await connection.recv() == b"\x01"
    await connection.wait_closed()
    assert connection.close_code == 1012


async def test_folders_of_volumes_are_made_and_deleted(bench: Bench) -> None:
    async with bench.client() as client, bench.client(certificate=False) as stranger:
        assert (await stranger.put("/folders/local/pvc-1")).status_code == 401
        made = await client.put("/folders/local/pvc-1")
        path = bench.root_dir / "local-volumes" / "pvc-1"
        assert (made.status_code, made.json()) == (200, {"path": str(path)})
        assert path.is_dir()
        for method in ("GET", "POST", "PATCH"):
            assert (await client.request(method, "/folders/local/pvc-1")).status_code == 405
        for name in ("..%2Fpvc-1", "x%00", ".deleted-x"):
            assert (await client.delete(f"/folders/local/{name}")).status_code in (400, 404, 405)
        shared = await client.put("/folders/shared/pvc-1")
        assert (shared.status_code, shared.text) == (404, "this node keeps no shared folders")
        assert path.is_dir()
        assert (await client.delete("/folders/local/pvc-1")).status_code == 200
        assert not path.exists()
