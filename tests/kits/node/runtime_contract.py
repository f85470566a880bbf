"""What every container runtime must do: the same tests on the fake and on Docker.

A subclass gives `opened`, a fresh runtime that has `IMAGE`. Commands keep to the vocabulary of `tests.fakes.programs`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator

import pytest

from kubelet.runtime.configs import ContainerConfig, PodRef, Resources, SandboxConfig
from kubelet.runtime.interface import (
    ContainerStartError,
    ContainerStatus,
    EngineError,
    EngineNotFound,
    LogOptions,
    PodRuntimeStatus,
    Runtime,
    RuntimeEvent,
)
from tests.kits.eventually import eventually_async

IMAGE = "docker.io/library/rt-test:1"
OBEYS_TERM = ("sh", "-c", "trap 'exit 143' TERM; echo ready; sleep 1000 & wait")
IGNORES_TERM = ("sh", "-c", "trap '' TERM; sleep 1000")
ALL_LOGS = LogOptions()

_numbers = itertools.count(1)


def new_pod() -> PodRef:
    number = next(_numbers)
    return PodRef(f"uid-{number}-{time.time_ns():x}", "default", f"web-{number}")


class PodInHand:
    """A pod with a sandbox, made with few words."""

    def __init__(self, runtime: Runtime, ref: PodRef, sandbox_id: str) -> None:
        self.runtime = runtime
        self.ref = ref
        self.sandbox_id = sandbox_id

    @classmethod
    async def create(cls, runtime: Runtime, config: SandboxConfig | None = None) -> PodInHand:
        config = config or SandboxConfig(pod=new_pod(), hostname="web")
        return cls(runtime, config.pod, (await runtime.create_sandbox(config)).id)

    def config(self, *command: str, name: str = "main", **fields: object) -> ContainerConfig:
        return ContainerConfig(pod=self.ref, name=name, image=IMAGE, image_ref=IMAGE, command=command, **fields)  # type: ignore[arg-type]

    async def is_ready(self, container_id: str) -> None:
        """Waits until OBEYS_TERM obeys: the first process of a container gets no signal that it has not asked for."""

        async def said_so() -> bool:
            return await self.output(container_id) == b"ready\n"

        await eventually_async(said_so, "the container's trap is set")

    async def start(self, *command: str, name: str = "main", **fields: object) -> str:
        container_id = await self.runtime.create_container(self.sandbox_id, self.config(*command, name=name, **fields))
        await self.runtime.start_container(container_id)
        return container_id

    async def status(self) -> PodRuntimeStatus:
        status = await self.runtime.pod(self.ref.uid)
        assert status is not None
        return status

    async def container(self, name: str = "main") -> ContainerStatus:
        container = (await self.status()).container(name)
        assert container is not None
        return container

    async def ended(self, name: str = "main") -> ContainerStatus:
        async def exited() -> bool:
            return (await self.container(name)).state == "exited"

        await eventually_async(exited)
        return await self.container(name)

    async def output(self, container_id: str, options: LogOptions = ALL_LOGS) -> bytes:
        return b"".join([data async for data in self.runtime.logs(container_id, options)])


class RuntimeContract:
    """Inherit it where a fixture `runtime` gives the runtime in question."""

    # --- sandboxes

    async def test_a_sandbox_is_ready_with_an_address_and_can_be_stopped_and_removed(self, runtime: Runtime) -> None:
        config = SandboxConfig(pod=new_pod(), attempt=2, hostname="web")
        sandbox = await runtime.create_sandbox(config)
        assert sandbox.ready
        assert sandbox.attempt == 2
        assert len(sandbox.ips) == 1
        assert abs(sandbox.created_at - time.time()) < 30
        listed = (await runtime.pods())[config.pod.uid]
        assert listed.pod == config.pod
        assert listed.sandbox == sandbox
        assert listed.running
        await runtime.stop_sandbox(sandbox.id)
        await runtime.stop_sandbox(sandbox.id)
        stopped = await runtime.pod(config.pod.uid)
        assert stopped is not None
        assert stopped.sandbox is not None
        assert (stopped.sandbox.ready, stopped.sandbox.ips, stopped.running) == (False, (), False)
        await runtime.remove_sandbox(sandbox.id)
        await runtime.remove_sandbox(sandbox.id)
        assert await runtime.pod(config.pod.uid) is None
        assert config.pod.uid not in await runtime.pods()

    async def test_creating_the_same_sandbox_again_gives_the_same_one(self, runtime: Runtime) -> None:
        config = SandboxConfig(pod=new_pod())
        first = await runtime.create_sandbox(config)
        assert (await runtime.create_sandbox(config)).id == first.id

    async def test_a_sandbox_that_ended_can_be_created_again(self, runtime: Runtime) -> None:
        config = SandboxConfig(pod=new_pod())
        await runtime.stop_sandbox((await runtime.create_sandbox(config)).id)
        again = await runtime.create_sandbox(config)
        assert again.ready
        status = await runtime.pod(config.pod.uid)
        assert status is not None
        assert status.sandboxes == (again,)

    async def test_creating_at_once_or_after_a_cancelled_attempt_gives_one_sandbox(self, runtime: Runtime) -> None:
        config = SandboxConfig(pod=new_pod())
        cancelled = asyncio.ensure_future(runtime.create_sandbox(config))
        await asyncio.sleep(0)  # it has begun, and the engine may not know of it yet
        cancelled.cancel()
        await asyncio.wait((cancelled,))
        first, second = await asyncio.gather(runtime.create_sandbox(config), runtime.create_sandbox(config))
        assert first.id == second.id
        status = await runtime.pod(config.pod.uid)
        assert status is not None
        assert [sandbox.ready for sandbox in status.sandboxes] == [True]

    async def test_the_newest_sandbox_comes_first(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        await runtime.stop_sandbox(pod.sandbox_id)
        newer = await runtime.create_sandbox(SandboxConfig(pod=pod.ref, attempt=1))
        status = await pod.status()
        assert [sandbox.id for sandbox in status.sandboxes] == [newer.id, pod.sandbox_id]

    # --- the life of a container

    async def test_a_container_is_created_then_runs_then_is_over_with_its_exit_code(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        container_id = await runtime.create_container(pod.sandbox_id, pod.config(*OBEYS_TERM))
        created = await pod.container()
        assert (created.state, created.started_at, created.reason) == ("created", 0.0, "")
        await runtime.start_container(container_id)
        running = await pod.container()
        assert (running.id, running.state, running.sandbox_id) == (container_id, "running", pod.sandbox_id)
        assert running.started_at >= running.created_at > 0
        assert running.finished_at == 0.0
        await pod.is_ready(container_id)
        await runtime.stop_container(container_id, 10)
        over = await pod.container()
        assert (over.state, over.exit_code, over.reason) == ("exited", 143, "Error")
        assert over.finished_at >= over.started_at == running.started_at

    @pytest.mark.parametrize(("code", "reason"), [(0, "Completed"), (3, "Error")])
    async def test_a_container_that_ends_by_itself(self, runtime: Runtime, code: int, reason: str) -> None:
        pod = await PodInHand.create(runtime)
        await pod.start("sh", "-c", f"echo hello; exit {code}")
        over = await pod.ended()
        assert (over.exit_code, over.reason, over.message) == (code, reason, "")

    async def test_what_the_kubelet_must_remember_comes_back_in_the_status(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        await pod.start(
            *OBEYS_TERM, kind="init", attempt=7, spec_hash="abc", grace_seconds=45, annotations={"a.io/b": 'c "d"'}
        )
        status = await pod.container()
        assert (status.pod, status.kind, status.attempt, status.spec_hash) == (pod.ref, "init", 7, "abc")
        assert (status.grace_seconds, status.annotations) == (45, {"a.io/b": 'c "d"'})
        assert status.image == IMAGE

    async def test_creating_the_same_container_again_gives_the_same_one(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        first = await runtime.create_container(pod.sandbox_id, pod.config(*OBEYS_TERM))
        assert await runtime.create_container(pod.sandbox_id, pod.config(*OBEYS_TERM)) == first
        await runtime.start_container(first)
        await runtime.start_container(first)
        assert len((await pod.status()).containers) == 1

    async def test_attempts_are_kept_side_by_side_newest_first(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        await pod.start("sh", "-c", "exit 1", attempt=0)
        await pod.ended()
        await pod.start(*OBEYS_TERM, attempt=1)
        attempts = (await pod.status()).attempts("main")
        assert [(status.attempt, status.state) for status in attempts] == [(1, "running"), (0, "exited")]

    async def test_a_command_that_does_not_exist_is_a_start_error_and_an_exited_container(
        self, runtime: Runtime
    ) -> None:
        pod = await PodInHand.create(runtime)
        container_id = await runtime.create_container(pod.sandbox_id, pod.config("/missing"))
        with pytest.raises(ContainerStartError, match="no such file or directory") as caught:
            await runtime.start_container(container_id)
        assert (caught.value.reason, caught.value.exit_code) == ("StartError", 128)
        status = await pod.container()
        assert (status.state, status.reason, status.exit_code) == ("exited", "StartError", 128)
        assert "no such file or directory" in status.message

    async def test_a_missing_image_is_not_found(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        config = ContainerConfig(pod=pod.ref, name="main", image="none:1", image_ref="docker.io/library/none:1")
        with pytest.raises(EngineNotFound):
            await runtime.create_container(pod.sandbox_id, config)

    async def test_a_container_that_ignores_its_signal_is_killed_after_the_grace_period(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        container_id = await pod.start(*IGNORES_TERM)
        started = time.monotonic()
        await runtime.stop_container(container_id, 0.5)
        assert time.monotonic() - started >= 0.5
        assert (await pod.container()).exit_code == 137

    async def test_waiting_for_a_container_ends_with_it(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        container_id = await pod.start("sleep", "1000")
        waiting = asyncio.ensure_future(runtime.wait_container(container_id))
        await asyncio.wait((waiting,), timeout=0.1)
        assert not waiting.done()
        await runtime.kill_container(container_id)
        await waiting
        assert (await pod.container()).state == "exited"
        await runtime.wait_container(container_id)
        await runtime.remove_container(container_id)
        await runtime.wait_container(container_id)

    async def test_a_second_stop_with_a_shorter_grace_wins(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        container_id = await pod.start(*IGNORES_TERM)
        first = asyncio.ensure_future(runtime.stop_container(container_id, 2000))
        await asyncio.sleep(0)
        await runtime.stop_container(container_id, 0.2)
        assert (await pod.container()).state == "exited"
        first.cancel()

    async def test_limits_of_a_running_container_are_changed_in_place(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        small = Resources(cpu_shares=100, cpu_quota_us=20_000, cpu_period_us=100_000, memory_limit_bytes=64 << 20)
        container_id = await pod.start(*OBEYS_TERM, resources=small)
        before = await pod.container()
        for megabytes in (256, 32):
            limits = Resources(200, 40_000, 100_000, megabytes << 20)
            await runtime.update_container(container_id, limits)
        await runtime.update_container(container_id, Resources())
        assert await pod.container() == before

    async def test_stopping_and_removing_what_is_gone_succeeds(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        container_id = await pod.start(*OBEYS_TERM)
        await runtime.remove_container(container_id)
        await runtime.remove_container(container_id)
        await runtime.stop_container(container_id, 5)
        assert (await pod.status()).containers == ()

    async def test_unknown_containers_are_not_found(self, runtime: Runtime) -> None:
        for call in (
            runtime.start_container("none"),
            runtime.kill_container("none"),
            runtime.update_container("none", Resources(cpu_shares=2)),
            runtime.exec_sync("none", ["true"]),
            runtime.attach("none", stdin=False),
            anext(aiter(runtime.logs("none", LogOptions()))),
        ):
            with pytest.raises(EngineNotFound):
                await call

    async def test_events_tell_of_starts_and_ends(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        events = await runtime.events()
        container_id = await pod.start("sh", "-c", "exit 4")
        seen = [event async for event in _until_die(events)]
        assert [(event.type, event.container_id, event.pod_uid, event.container_name) for event in seen] == [
            ("start", container_id, pod.ref.uid, "main"),
            ("die", container_id, pod.ref.uid, "main"),
        ]
        assert seen[-1].exit_code == 4

    # --- exec, attach, logs

    async def test_exec_gives_code_and_both_streams(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        container_id = await pod.start(*OBEYS_TERM)
        result = await runtime.exec_sync(container_id, ["sh", "-c", "echo out; echo err >&2; exit 5"])
        assert result == (5, b"out\n", b"err\n")
        assert (await runtime.exec_sync(container_id, ["/missing"]))[0] in (126, 127)

    async def test_exec_that_takes_too_long_times_out(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        container_id = await pod.start(*OBEYS_TERM)
        with pytest.raises(TimeoutError):
            await runtime.exec_sync(container_id, ["sleep", "1000"], 0.3)

    async def test_exec_needs_a_running_container(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        container_id = await pod.start("true")
        await pod.ended()
        with pytest.raises(EngineNotFound):
            await runtime.exec_sync(container_id, ["true"])

    async def test_an_exec_session_carries_stdin_to_stdout(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        container_id = await pod.start(*OBEYS_TERM)
        session = await runtime.exec_stream(container_id, ["cat"], tty=False, stdin=True)
        await session.write(b"one\n")
        await session.write(b"two\n")
        await session.close_stdin()
        chunks = [chunk async for chunk in session.output()]
        assert {stream for stream, _ in chunks} == {"stdout"}
        assert b"".join(data for _, data in chunks) == b"one\ntwo\n"
        assert await session.exit_code() == 0
        await session.close()

    async def test_logs_by_stream_tail_and_time(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        container_id = await pod.start("sh", "-c", "echo one; echo two >&2; echo three; exit 0")
        over = await pod.ended()
        everything = await pod.output(container_id)
        assert sorted(everything.splitlines()) == [b"one", b"three", b"two"]
        assert await pod.output(container_id, LogOptions(stream="stdout")) == b"one\nthree\n"
        assert await pod.output(container_id, LogOptions(stream="stderr")) == b"two\n"
        assert await pod.output(container_id, LogOptions(stream="stdout", tail_lines=1)) in (b"three\n", b"")
        assert len((await pod.output(container_id, LogOptions(tail_lines=2))).splitlines()) == 2
        assert await pod.output(container_id, LogOptions(tail_lines=0)) == b""
        assert await pod.output(container_id, LogOptions(since=over.finished_at + 60)) == b""
        stamped = await pod.output(container_id, LogOptions(stream="stdout", timestamps=True))
        moment, _, text = stamped.splitlines()[0].partition(b" ")
        assert (text, len(moment), moment[-1:]) == (b"one", 30, b"Z")

    async def test_followed_logs_end_with_the_container(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        container_id = await pod.start(*OBEYS_TERM)
        chunks = runtime.logs(container_id, LogOptions(follow=True))
        assert await anext(aiter(chunks)) == b"ready\n"
        await runtime.stop_container(container_id, 10)
        assert [chunk async for chunk in chunks] == []

    async def test_a_failed_container_may_take_its_message_from_the_log(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        policy = "FallbackToLogsOnError"
        await pod.start("sh", "-c", "echo no config; exit 1", name="bad", termination_message_policy=policy)
        await pod.start("sh", "-c", "echo fine; exit 0", name="good", termination_message_policy=policy)
        assert (await pod.ended("bad")).message == "no config\n"
        assert (await pod.ended("good")).message == ""

    # --- images, volumes

    async def test_images_are_found_by_reference_and_by_id(self, runtime: Runtime) -> None:
        image = await runtime.image_status(IMAGE)
        assert image is not None
        assert IMAGE in image.tags
        by_id = await runtime.image_status(image.id)
        assert by_id is not None
        assert by_id.id == image.id
        assert image.id in {item.id for item in await runtime.images()}
        assert await runtime.image_status("docker.io/library/none:1") is None

    async def test_an_image_in_use_cannot_be_removed(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        image = await runtime.image_status(IMAGE)
        assert image is not None
        config = ContainerConfig(pod=pod.ref, name="main", image=IMAGE, image_ref=image.id, command=OBEYS_TERM)
        await runtime.create_container(pod.sandbox_id, config)
        with pytest.raises(EngineError):
            await runtime.remove_image(image.id)

    async def test_memory_volumes_are_listed_by_pod_and_removed(self, runtime: Runtime) -> None:
        ref = new_pod()
        name = f"{ref.uid}-cache"
        await runtime.create_memory_volume(name, 1 << 20, ref)
        await runtime.create_memory_volume(name, 1 << 20, ref)
        assert (await runtime.memory_volumes())[name] == ref.uid
        await runtime.remove_memory_volume(name)
        await runtime.remove_memory_volume(name)
        assert name not in await runtime.memory_volumes()

    async def test_stats_of_what_runs(self, runtime: Runtime) -> None:
        pod = await PodInHand.create(runtime)
        container_id = await pod.start(*OBEYS_TERM)
        over_id = await pod.start("true", name="over")
        await pod.ended("over")
        stats = await runtime.stats([container_id, over_id, "none"])
        assert [(item.container_id, item.name, item.pod) for item in stats] == [(container_id, "main", pod.ref)]
        assert stats[0].cpu_nanoseconds > 0
        assert stats[0].memory_working_set_bytes > 0


async def _until_die(events: AsyncIterator[RuntimeEvent]) -> AsyncIterator[RuntimeEvent]:
    async for event in events:
        yield event
        if event.type == "die":
            return
