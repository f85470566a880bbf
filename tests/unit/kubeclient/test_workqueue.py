"""The queue's promises: a key waits once, has one worker, and comes back later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from kubeclient import workqueue
from kubeclient.workqueue import WorkQueue


@pytest.fixture
def queue() -> Iterator[WorkQueue]:
    queue = WorkQueue("test")
    yield queue
    queue.close()


async def test_a_key_waits_once_however_often_it_is_added(queue: WorkQueue) -> None:
    for key in ("a", "b", "a", "a"):
        queue.add(key)
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_added_while_worked_on_waits_until_done(queue: WorkQueue) -> None:
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_workers_that_wait_are_served_one_key_each(queue: WorkQueue) -> None:
    waiting = [asyncio.ensure_future(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    for key in "abc":
        queue.add(key)
    assert sorted(await asyncio.gather(*waiting)) == ["a", "b", "c"]


async def test_a_worker_that_gives_up_takes_no_key_with_it(queue: WorkQueue) -> None:
    first, second = asyncio.ensure_future(queue.get()), asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await second == "a"


async def test_of_several_delays_the_shortest_counts(queue: WorkQueue) -> None:
    queue.add_after("a", 60)
    queue.add_after("a", 0.01)
    queue.add_after("a", 30)
    queue.add_after("b", 0.02)
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    queue.add_after("c", 0)
    assert await queue.get() == "c"


async def test_failures_wait_longer_each_time_until_forgotten(
    queue: WorkQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays: list[float] = []
    monkeypatch.setattr(WorkQueue, "add_after", lambda self, key, seconds: delays.append(seconds))

    for _ in range(20):
        queue.add_rate_limited("a")
    assert delays[:4] == [0.005, 0.01, 0.02, 0.04]
    assert delays[-1] == workqueue.MOST_DELAY_SECONDS
    assert queue.failures("a") == 20
    queue.forget("a")
    queue.add_rate_limited("a")
    assert delays[-1] == 0.005


async def test_delays_that_shorter_ones_overtook_are_not_kept_for_ever(queue: WorkQueue) -> None:
    for number in range(1000, 0, -1):
        queue.add_after("a", 60 + number)  # each is shorter than the one before
    assert len(queue._heap) <= 2 + workqueue.SPARE_DELAYS + 1
