"""Pod lifecycle events wake the right pods, with and without the runtime's event stream."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kubelet.node.pleg import BROKEN_RELIST_SECONDS, HEALTHY_SECONDS, RELIST_SECONDS, Pleg
from kubelet.runtime.configs import ContainerConfig, PodRef, SandboxConfig
from tests.fakes.clock import FakeClock, idle
from tests.fakes.runtime import FakeRuntime
from tests.kits.tasks import background


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.runtime = FakeRuntime(now=self.clock.now, sleep=self.clock.sleep)
        self.runtime.add_image("app")
        self.changed: list[str] = []
        self.pleg = Pleg(self.runtime, self.changed.append, self.clock)

    async def start(self, uid: str) -> str:
        ref = PodRef(uid, "default", uid)
        sandbox = await self.runtime.create_sandbox(SandboxConfig(ref))
        container_id = await self.runtime.create_container(sandbox.id, ContainerConfig(ref, "main", "app", "app"))
        await self.runtime.start_container(container_id)
        return container_id

    def take(self) -> set[str]:
        changed = set(self.changed)
        self.changed.clear()
        return changed


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    async with background(bench.pleg.run()):
        await idle()
        yield bench


def count_lists(bench: Bench) -> list[float]:
    """Monotonic times at which the runtime was asked for everything."""
    times: list[float] = []
    pods = bench.runtime.pods

    async def counted() -> object:
        times.append(bench.clock.monotonic())
        return await pods()

    bench.runtime.pods = counted  # type: ignore[method-assign, assignment]
    return times


async def test_an_event_wakes_its_pod_at_once(bench: Bench) -> None:
    first, _ = await bench.start("a"), await bench.start("b")
    await idle()
    assert bench.take() == {"a", "b"}
    bench.runtime.exit(first, 1)
    await idle()
    assert bench.take() == {"a"}


async def test_nothing_is_asked_while_nothing_happens_but_a_rare_relist(bench: Bench) -> None:
    times = count_lists(bench)
    await bench.clock.advance(RELIST_SECONDS * 3 + 1)
    assert len(times) == 3


async def test_what_happened_while_the_stream_was_broken_is_found(bench: Bench) -> None:
    container_id = await bench.start("a")
    await bench.clock.advance(RELIST_SECONDS)
    bench.runtime.available = False
    bench.runtime.break_events()
    await idle()
    bench.take()
    bench.runtime.exit(container_id, 1)
    await bench.clock.advance(5)
    assert bench.take() == set()
    assert bench.pleg.runtime_error()
    bench.runtime.available = True
    await bench.clock.advance(BROKEN_RELIST_SECONDS + 0.1)
    assert bench.take() == {"a"}
    assert bench.pleg.runtime_error() == ""


async def test_a_broken_stream_makes_relists_frequent_until_it_is_back(bench: Bench) -> None:
    bench.runtime.fail_next("events", bench_error(), times=4)
    bench.runtime.break_events()
    await idle()
    times = count_lists(bench)
    await bench.clock.advance(4.5)
    assert len(times) >= 4
    await bench.clock.advance(2)
    times.clear()
    await bench.clock.advance(RELIST_SECONDS - 5)
    assert len(times) <= 1


def bench_error() -> Exception:
    from kubelet.runtime.interface import RuntimeUnavailable

    return RuntimeUnavailable("down")


async def test_a_pod_that_vanished_is_noticed(bench: Bench) -> None:
    container_id = await bench.start("a")
    await bench.clock.advance(RELIST_SECONDS)
    bench.take()
    # Behind the back of the event stream.
    del bench.runtime.containers[container_id]
    bench.runtime.sandboxes.clear()
    await bench.clock.advance(RELIST_SECONDS)
    assert bench.take() == {"a"}


async def test_health_follows_the_last_successful_relist(bench: Bench) -> None:
    assert bench.pleg.health_error() == ""
    bench.runtime.available = False
    bench.runtime.break_events()
    await bench.clock.advance(HEALTHY_SECONDS + RELIST_SECONDS + 5)
    assert bench.pleg.health_error().startswith("PLEG is not healthy: pleg was last seen active 2")
    bench.runtime.available = True
    await bench.clock.advance(BROKEN_RELIST_SECONDS + 0.1)
    assert bench.pleg.health_error() == ""


@pytest.mark.parametrize("pods", [0, 3])
async def test_cancelling_ends_everything(bench: Bench, pods: int) -> None:
    for number in range(pods):
        await bench.start(f"pod-{number}")
