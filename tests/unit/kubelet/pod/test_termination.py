"""How containers are stopped: hooks, grace periods, order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kubelet.pod.actions import Kill
from kubelet.pod.termination import Terminator
from kubelet.pod.work import PodWork
from kubelet.runtime.configs import ContainerConfig, PodRef, SandboxConfig
from kubelet.runtime.interface import PodRuntimeStatus
from tests.fakes.clock import FakeClock, idle
from tests.fakes.programs import Script
from tests.fakes.runtime import FakeRuntime
from tests.kits.node.kubelet import make_pod

REF = PodRef("uid-1", "default", "web")
HOOK = {"preStop": {"exec": {"command": ["sh", "-c", "exit 0"]}}}


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.runtime = FakeRuntime(self.clock.now, self.clock.sleep)
        self.image = self.runtime.add_image("docker.io/library/app:1")
        self.events: list[tuple[str, str]] = []
        self.terminator = Terminator(self.runtime, self, self.clock)

    def event(self, obj: Any, type: str, reason: str, message: str, *, field_path: str = "") -> None:
        self.events.append((reason, message))

    async def run(self, spec: dict[str, Any], *, deaf: tuple[str, ...] = ()) -> PodWork:
        """A work whose containers all run; those in `deaf` ignore SIGTERM."""
        work = PodWork(make_pod(spec))
        sandbox = await self.runtime.create_sandbox(SandboxConfig(REF))
        for container in (*(work.pod.spec.initContainers or ()), *work.pod.spec.containers):
            self.runtime.programs[container.name] = Script(exit_code=None, ignores_sigterm=container.name in deaf)
            config = ContainerConfig(REF, container.name, "app:1", self.image.id)
            await self.runtime.start_container(await self.runtime.create_container(sandbox.id, config))
        self.runtime.calls.clear()
        return work

    async def status(self) -> PodRuntimeStatus:
        found = await self.runtime.pod("uid-1")
        assert found is not None
        return found

    def stopped(self) -> list[str]:
        """Names of the stopped containers, in the order of the calls, with the seconds each was given."""
        names = {container.status.id: container.status.name for container in self.runtime.containers.values()}
        calls = [call.split() for call in self.runtime.calls if call.startswith("stop_container")]
        return [f"{names[container]} {seconds}" for _, container, seconds in calls]


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_everything_stops_and_the_sandbox_goes_last(bench: Bench) -> None:
    work = await bench.run({"containers": [{"name": "a", "image": "app:1"}, {"name": "b", "image": "app:1"}]})
    await bench.terminator.stop_pod(work, await bench.status())
    assert bench.stopped() == ["a 30", "b 30"]
    assert bench.runtime.calls[-1].startswith("stop_sandbox")
    assert not (await bench.status()).running
    assert bench.events == [("Killing", "Stopping container a"), ("Killing", "Stopping container b")]


async def test_sidecars_stop_after_the_rest_from_the_last_to_the_first(bench: Bench) -> None:
    sidecars = [{"name": name, "image": "app:1", "restartPolicy": "Always"} for name in ("s1", "s2")]
    work = await bench.run({"initContainers": sidecars}, deaf=("app",))
    stopping = asyncio.ensure_future(bench.terminator.stop_pod(work, await bench.status()))
    await bench.clock.advance(29)
    assert bench.stopped() == ["app 30"]
    await bench.clock.advance(1)
    await stopping
    assert bench.stopped() == ["app 30", "s2 2", "s1 2"]


async def test_hooks_of_sidecars_run_at_once_and_keep_no_turn_waiting(bench: Bench) -> None:
    hook = {"preStop": {"sleep": {"seconds": 5}}}
    sidecars = [{"name": name, "image": "app:1", "restartPolicy": "Always", "lifecycle": hook} for name in ("s1", "s2")]
    app = {"name": "app", "image": "app:1", "lifecycle": {"preStop": {"sleep": {"seconds": 8}}}}
    work = await bench.run({"initContainers": sidecars, "containers": [app]})
    stopping = asyncio.ensure_future(bench.terminator.stop_pod(work, await bench.status()))
    await bench.clock.advance(7)
    assert bench.stopped() == []
    await bench.clock.advance(1)
    await stopping
    assert bench.stopped() == ["app 22", "s2 22", "s1 22"]


async def test_the_hook_runs_first_and_its_time_counts(bench: Bench) -> None:
    command = ["slow"]
    hook = {"preStop": {"exec": {"command": command}}}
    work = await bench.run({"containers": [{"name": "app", "image": "app:1", "lifecycle": hook}]})

    async def slow(*_: Any) -> tuple[int, bytes, bytes]:
        await bench.clock.sleep(12)
        return 0, b"", b""

    bench.runtime.exec_sync = slow  # type: ignore[method-assign, assignment]
    stopping = asyncio.ensure_future(bench.terminator.stop_pod(work, await bench.status()))
    await bench.clock.advance(11)
    assert bench.stopped() == []
    await bench.clock.advance(1)
    await stopping
    assert bench.stopped() == ["app 18"]


async def test_a_hook_that_uses_up_the_grace_period_leaves_two_seconds(bench: Bench) -> None:
    work = await bench.run({"containers": [{"name": "app", "image": "app:1", "lifecycle": HOOK}]})

    async def slow(*_: Any) -> tuple[int, bytes, bytes]:
        bench.clock.step(40)
        return 0, b"", b""

    bench.runtime.exec_sync = slow  # type: ignore[method-assign, assignment]
    await bench.terminator.stop_pod(work, await bench.status())
    assert bench.stopped() == ["app 2"]


async def test_a_failed_hook_is_told_and_stops_nothing(bench: Bench) -> None:
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "exit 1"]}}}
    work = await bench.run({"containers": [{"name": "app", "image": "app:1", "lifecycle": hook}]})
    await bench.terminator.stop_pod(work, await bench.status())
    assert ("FailedPreStopHook", "PreStopHook failed") in bench.events
    assert bench.stopped() == ["app 30"]


async def test_a_hook_is_cut_at_the_end_of_the_grace_period_and_told(bench: Bench) -> None:
    hook = {"preStop": {"sleep": {"seconds": 60}}}
    work = await bench.run({"containers": [{"name": "app", "image": "app:1", "lifecycle": hook}]})
    stopping = asyncio.ensure_future(bench.terminator.stop_pod(work, await bench.status()))
    await bench.clock.advance(29)
    assert bench.stopped() == []
    await bench.clock.advance(1)
    await stopping
    assert bench.stopped() == ["app 2"]
    assert ("FailedPreStopHook", "PreStopHook failed") in bench.events


async def test_a_hook_is_not_waited_for_once_its_container_has_ended(bench: Bench) -> None:
    hook = {"preStop": {"sleep": {"seconds": 20}}}
    work = await bench.run({"containers": [{"name": "app", "image": "app:1", "lifecycle": hook}]})
    stopping = asyncio.ensure_future(bench.terminator.stop_pod(work, await bench.status()))
    await bench.clock.advance(1)
    bench.runtime.exit((await bench.status()).containers[0].id)
    await stopping
    assert [reason for reason, _ in bench.events] == ["Killing"]


async def test_a_second_kill_does_not_repeat_the_hook(bench: Bench) -> None:
    spec = {"containers": [{"name": "app", "image": "app:1", "lifecycle": HOOK}]}
    work = await bench.run(spec, deaf=("app",))
    stopping = asyncio.ensure_future(bench.terminator.stop_pod(work, await bench.status()))
    await idle()
    work.grace_override = 3
    work.grace_changed.set()
    await bench.clock.advance(3)
    await stopping
    assert bench.stopped() == ["app 30", "app 3"]
    assert sum(call.startswith("exec_sync") for call in bench.runtime.calls) == 1
    assert len(bench.events) == 1


@pytest.mark.parametrize(("given", "grace"), [(None, "5"), (1, "1")])
async def test_a_probe_may_bring_its_own_grace_period(bench: Bench, given: int | None, grace: str) -> None:
    probe = {"tcpSocket": {"port": 1}} | ({"terminationGracePeriodSeconds": given} if given else {})
    app = {"name": "app", "image": "app:1", "livenessProbe": probe}
    work = await bench.run({"containers": [app], "terminationGracePeriodSeconds": 5})
    status = (await bench.status()).containers[0]
    kill = Kill("app", status.id, "liveness", "Container app failed liveness probe, will be restarted")
    await bench.terminator.stop_container(work, status, kill)
    assert bench.stopped() == [f"app {grace}"]
    assert bench.events == [("Killing", "Container app failed liveness probe, will be restarted")]


async def test_cancelling_leaves_nothing_running_behind(bench: Bench) -> None:
    work = await bench.run({}, deaf=("app",))
    tasks = asyncio.all_tasks()
    stopping = asyncio.ensure_future(bench.terminator.stop_pod(work, await bench.status()))
    await idle()
    stopping.cancel()
    await asyncio.wait((stopping,))
    assert asyncio.all_tasks() == tasks
