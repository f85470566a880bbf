"""Probes: thresholds, ports and addresses, the calls themselves, and when the prober makes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from apimachinery.model import from_dict
from componentbase.net.http2 import PREFACE, frame
from kubeapi.core.pod.probes import Probe
from kubeapi.core.pod.spec import Container
from kubeapi.core.pod.status import ContainerStatus, PodStatus
from kubelet.probe.actions.http import action_url
from kubelet.probe.interface import PortNotFound, ProbedContainer
from kubelet.probe.prober import Prober
from kubelet.probe.probes import run_probe
from kubelet.probe.state import Outcome, ProbeResult, ProbeState
from kubelet.runtime.interface import PodRuntimeStatus
from tests.fakes.clock import FakeClock
from tests.fakes.runtime import FakeRuntime
from tests.kits.eventually import eventually_async
from tests.kits.node.kubelet import container, make_pod, runtime_status
from tests.kits.tasks import background

APP = from_dict(Container, {"name": "app", "ports": [{"containerPort": 8080, "name": "web"}]})


def app(pod_ip: str = "127.0.0.1", runtime: FakeRuntime | None = None) -> ProbedContainer:
    return ProbedContainer(runtime or FakeRuntime(), APP, "id", pod_ip)


def state(kind: Any = "liveness", **probe: Any) -> ProbeState:
    return ProbeState.start(kind, from_dict(Probe, probe))


class TestThresholds:
    def test_initial_verdicts(self) -> None:
        assert [state(kind).verdict for kind in ("liveness", "readiness", "startup")] == [
            "success",
            "failure",
            "unknown",
        ]

    def test_failures_in_a_row(self) -> None:
        liveness = state(failureThreshold=3)
        outcomes: list[Outcome] = ["failure", "failure", "success", "failure", "failure"]
        assert not any(liveness.observe(outcome) for outcome in outcomes)
        assert liveness.observe("failure")
        assert (liveness.verdict, liveness.done) == ("failure", True)

    def test_successes_in_a_row(self) -> None:
        readiness = state("readiness", successThreshold=2)
        assert not readiness.observe("success")
        assert readiness.observe("success")
        assert (readiness.verdict, readiness.done) == ("success", False)

    def test_errors_count_for_nothing(self) -> None:
        liveness = state(failureThreshold=1)
        assert not any(liveness.observe("error") for _ in range(5))
        assert liveness.verdict == "success"

    def test_errors_do_not_break_a_row(self) -> None:
        liveness = state(failureThreshold=2)
        liveness.observe("failure")
        liveness.observe("error")
        assert liveness.observe("failure")

    def test_a_warning_is_a_success(self) -> None:
        assert state("readiness").observe("warning")

    def test_a_startup_probe_ends_with_its_first_verdict(self) -> None:
        startup = state("startup", failureThreshold=2)
        startup.observe("failure")
        assert not startup.done
        startup.observe("success")
        assert (startup.verdict, startup.done) == ("success", True)


@pytest.mark.parametrize(("port", "number"), [(80, 80), ("web", 8080), ("9", 9)])
def test_a_port_is_a_number_or_the_name_of_one(port: int | str, number: int) -> None:
    assert app().port(port) == number


@pytest.mark.parametrize("port", ["none", 0, 70000])
def test_a_port_that_the_container_does_not_have(port: int | str) -> None:
    with pytest.raises(PortNotFound, match=f"couldn't find port {port}"):
        app().port(port)


@pytest.mark.parametrize(
    ("action", "url"),
    [
        ({"port": "web"}, "http://10.0.0.1:8080/"),
        ({"port": 1, "path": "x?y=1"}, "http://10.0.0.1:1/x?y=1"),
        ({"port": 1, "scheme": "HTTPS", "host": "::1"}, "https://[::1]:1/"),
    ],
)
def test_the_url_of_an_http_probe(action: dict[str, Any], url: str) -> None:
    probe = from_dict(Probe, {"httpGet": action})
    assert probe.httpGet is not None
    assert action_url(app("10.0.0.1"), probe.httpGet) == url


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def probe_server(serve: Serve, probe: Callable[[int], dict[str, Any]]) -> ProbeResult:
    """The result of one probe of a server on loopback."""

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        return await run_probe(app(), from_dict(Probe, probe(port)))


def answering(answer: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    return serve


class TestHttp:
    @pytest.mark.parametrize(
        ("status", "outcome"),
        [(200, "success"), (204, "success"), (399, "success"), (400, "failure"), (503, "failure")],
    )
    async def test_the_status_code_decides(self, status: int, outcome: str) -> None:
        result = await probe_server(
            answering(f"HTTP/1.1 {status} X\r\n\r\nbody".encode()), lambda port: {"httpGet": {"port": port}}
        )
        assert result.outcome == outcome
        if outcome == "failure":
            assert result.output == f"HTTP probe failed with statuscode: {status}"

    async def test_a_request_has_the_probe_s_headers(self) -> None:
        requests: list[str] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            writer.close()

        headers = [{"name": "X-A", "value": "1"}, {"name": "Host", "value": "example.com"}]
        await probe_server(serve, lambda port: {"httpGet": {"port": port, "path": "/p?q=1", "httpHeaders": headers}})
        lines = requests[0].split("\r\n")
        assert lines[0] == "GET /p?q=1 HTTP/1.1"
        assert "X-A: 1" in lines
        assert [line for line in lines if line.startswith("Host:")] == ["Host: example.com"]
        assert "User-Agent: kube-probe/1.35" in lines

    async def test_redirects_within_the_host_are_followed(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            line = await reader.readline()
            there = b"GET /there " in line
            writer.write(b"HTTP/1.1 500 No\r\n\r\n" if there else b"HTTP/1.1 302 Go\r\nLocation: /there\r\n\r\n")
            writer.close()

        assert (await probe_server(serve, lambda port: {"httpGet": {"port": port}})).outcome == "failure"

    async def test_redirects_elsewhere_are_a_warning(self) -> None:
        answer = b"HTTP/1.1 302 Go\r\nLocation: http://example.com/\r\n\r\n"
        assert (await probe_server(answering(answer), lambda port: {"httpGet": {"port": port}})).outcome == "warning"

    async def test_endless_redirects_fail(self) -> None:
        answer = b"HTTP/1.1 302 Go\r\nLocation: /\r\n\r\n"
        result = await probe_server(answering(answer), lambda port: {"httpGet": {"port": port}})
        assert result.outcome == "failure"
        assert "stopped after 10 redirects" in result.output

    @pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 x\r\n\r\n"])
    async def test_no_http_at_all(self, answer: bytes) -> None:
        assert (await probe_server(answering(answer), lambda port: {"httpGet": {"port": port}})).outcome == "failure"

    async def test_no_answer_in_time(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        result = await probe_server(serve, lambda port: {"httpGet": {"port": port}, "timeoutSeconds": 1})
        assert result.outcome == "failure"
        assert "context deadline exceeded" in result.output


def refused_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def run(probe: dict[str, Any], runtime: FakeRuntime | None = None) -> ProbeResult:
    return await run_probe(app(runtime=runtime), from_dict(Probe, probe))


async def test_a_port_that_takes_connections_is_alive() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    assert (await probe_server(serve, lambda port: {"tcpSocket": {"port": port}})).outcome == "success"
    port = refused_port()
    refused = await run({"tcpSocket": {"port": port}})
    assert refused == ProbeResult("failure", f"dial tcp 127.0.0.1:{port}: connect: connection refused")
    assert (await run({"tcpSocket": {"port": "none"}})).outcome == "error"


class _Exec(FakeRuntime):
    """Answers every exec alike."""

    def __init__(self, answer: tuple[int, bytes, bytes] | Exception) -> None:
        super().__init__()
        self.answer = answer

    async def exec_sync(self, container_id: str, argv: Any, timeout_seconds: float = 0.0) -> tuple[int, bytes, bytes]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_the_exit_code_of_a_command_decides() -> None:
    from kubelet.runtime.interface import EngineError

    probe = {"exec": {"command": ["check", "it"]}}
    assert await run(probe, _Exec((0, b"fine", b""))) == ProbeResult("success", "fine")
    assert await run(probe, _Exec((1, b"out", b"err"))) == ProbeResult("failure", "outerr")
    assert await run(probe, _Exec(TimeoutError())) == ProbeResult(
        "failure", 'command timed out: "check it" timed out after 1s'
    )
    assert await run(probe, _Exec(EngineError("broken"))) == ProbeResult("error", "broken")


class TestGrpc:
    async def answer(self, message: bytes | None, service: str = "") -> tuple[ProbeResult, bytes]:
        """The probe's result against a server that sends this HealthCheckResponse, and what it was sent."""
        seen = bytearray()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readexactly(len(PREFACE)) == PREFACE
            while True:
                head = await reader.readexactly(9)
                payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
                if head[3] == 0:
                    seen.extend(payload)
                    break
            frames = frame(4, 0, 0, b"") + frame(6, 0, 0, b"12345678")
            if message is not None:
                body = b"\0" + len(message).to_bytes(4, "big") + message
                frames += frame(1, 4, 1, b"\x88") + frame(0, 0, 1, body)
            writer.write(frames + frame(1, 5, 1, b"\x88"))
            await reader.read()
            writer.close()

        result = await probe_server(serve, lambda port: {"grpc": {"port": port, "service": service}})
        return result, bytes(seen)

    async def test_a_service_that_serves_is_alive(self) -> None:
        result, sent = await self.answer(b"\x08\x01", "db")
        assert result.outcome == "success"
        assert sent == b"\0\0\0\0\x04\x0a\x02db"

    @pytest.mark.parametrize("message", [b"\x08\x02", b"", None])
    async def test_any_other_answer_is_a_failure(self, message: bytes | None) -> None:
        assert (await self.answer(message))[0].outcome == "failure"

    async def test_a_refused_connection_says_so(self) -> None:
        assert "connection refused" in (await run({"grpc": {"port": refused_port()}})).output


@dataclass
class Bench:
    """A prober on a fake clock whose probes answer as told."""

    clock: FakeClock
    prober: Prober
    answers: dict[str, ProbeResult] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)

    def event(self, obj: Any, type: str, reason: str, message: str, *, field_path: str = "") -> None:
        self.events.append((reason, message))


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    clock = FakeClock()
    async with background() as tasks:
        bench = Bench(clock, None)  # type: ignore[arg-type]

        async def fake_probe(container: ProbedContainer, probe: Probe) -> ProbeResult:
            app, kinds = container.spec, ("startup", "liveness", "readiness")
            kind = next(kind for kind in kinds if getattr(app, f"{kind}Probe") == probe)
            bench.made.append(kind)
            return bench.answers.get(kind, ProbeResult("success"))

        group = cast(asyncio.TaskGroup, tasks)
        bench.prober = Prober(FakeRuntime(), bench, bench.changed.append, clock, group, fake_probe)
        yield bench


def probed(**probes: Any) -> Any:
    """Distinct probes, so that the bench can tell them apart."""
    handlers = {"startup": 1, "liveness": 2, "readiness": 3}
    spec = {f"{kind}Probe": {"tcpSocket": {"port": handlers[kind]}} | given for kind, given in probes.items()}
    return make_pod({"containers": [{"name": "app", "image": "app:1"} | spec]})


def running(clock: FakeClock, attempt: int = 0) -> PodRuntimeStatus:
    return runtime_status(replace(container(attempt=attempt), started_at=clock.now()))


class TestProber:
    async def test_probes_at_once_and_then_every_period(self, bench: Bench) -> None:
        bench.prober.update(probed(readiness={"periodSeconds": 5}), running(bench.clock), "10.0.0.1")
        await eventually_async(lambda: bench.made == ["readiness"])
        assert bench.prober.results("uid-1", "readiness") == {"app-0": "success"}
        assert bench.changed == ["uid-1"]
        await bench.clock.advance(4)
        assert len(bench.made) == 1
        await bench.clock.advance(1)
        assert len(bench.made) == 2
        assert bench.changed == ["uid-1"]

    async def test_waits_for_the_initial_delay(self, bench: Bench) -> None:
        bench.prober.update(probed(liveness={"initialDelaySeconds": 20}), running(bench.clock), "10.0.0.1")
        await bench.clock.advance(19)
        assert bench.made == []
        await bench.clock.advance(1)
        assert bench.made == ["liveness"]

    async def test_other_probes_wait_for_startup_and_then_begin_at_once(self, bench: Bench) -> None:
        bench.answers["startup"] = ProbeResult("failure", "not yet")
        pod = probed(startup={"periodSeconds": 3}, liveness={"periodSeconds": 30}, readiness={"periodSeconds": 30})
        bench.prober.update(pod, running(bench.clock), "10.0.0.1")
        await bench.clock.advance(4)
        assert set(bench.made) == {"startup"}
        bench.answers["startup"] = ProbeResult("success")
        await bench.clock.advance(2)
        await eventually_async(lambda: {"liveness", "readiness"} <= set(bench.made))
        assert bench.prober.verdicts("uid-1").startup == {"app-0": "success"}
        assert ("Unhealthy", "Startup probe failed: not yet") in bench.events

    async def test_a_failed_liveness_probe_is_told_once_decided(self, bench: Bench) -> None:
        bench.answers["liveness"] = ProbeResult("failure", "down")
        pod = probed(liveness={"periodSeconds": 1, "failureThreshold": 3})
        bench.prober.update(pod, running(bench.clock), "10.0.0.1")
        await bench.clock.advance(10)
        assert bench.made == ["liveness"] * 3
        assert bench.changed == ["uid-1"]
        assert bench.prober.verdicts("uid-1").liveness == {"app-0": "failure"}
        assert bench.events == [("Unhealthy", "Liveness probe failed: down")] * 3

    async def test_a_restarted_container_starts_afresh(self, bench: Bench) -> None:
        pod = probed(readiness={"periodSeconds": 5})
        bench.prober.update(pod, running(bench.clock), "10.0.0.1")
        await eventually_async(lambda: bench.made == ["readiness"])
        bench.answers["readiness"] = ProbeResult("failure")
        bench.prober.update(pod, running(bench.clock, attempt=1), "10.0.0.1")
        assert bench.prober.results("uid-1", "readiness") == {"app-1": "failure"}
        assert len(bench.prober) == 1

    async def test_probing_ends_with_the_container(self, bench: Bench) -> None:
        pod = probed(liveness={"periodSeconds": 1}, readiness={"periodSeconds": 1})
        bench.prober.update(pod, running(bench.clock), "10.0.0.1")
        await bench.clock.advance(1)
        bench.prober.update(pod, runtime_status(container(state="exited")), "10.0.0.1")
        made = len(bench.made)
        await bench.clock.advance(5)
        assert (len(bench.made), len(bench.prober)) == (made, 0)

    async def test_a_terminating_pod_is_only_asked_for_readiness(self, bench: Bench) -> None:
        pod, status = probed(liveness={"periodSeconds": 1}, readiness={"periodSeconds": 1}), running(bench.clock)
        bench.prober.update(pod, status, "10.0.0.1")
        await bench.clock.advance(1)
        bench.prober.update(pod, status, "10.0.0.1", terminating=True)
        bench.made.clear()
        await bench.clock.advance(2)
        assert set(bench.made) == {"readiness"}

    async def test_a_restarted_kubelet_keeps_ready_pods_ready(self, bench: Bench) -> None:
        pod = probed(readiness={"initialDelaySeconds": 60})
        known = ContainerStatus(name="app", containerID="docker://app-0", ready=True, started=True)
        pod = pod.model_copy(update={"status": PodStatus(containerStatuses=[known])})
        bench.prober.update(pod, running(bench.clock), "10.0.0.1")
        assert bench.prober.results("uid-1", "readiness") == {"app-0": "success"}
        bench.prober.update(pod, running(bench.clock, attempt=1), "10.0.0.1")
        assert bench.prober.results("uid-1", "readiness") == {"app-1": "failure"}
