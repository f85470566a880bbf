"""Large pieces of work, one a turn of the event loop."""

from __future__ import annotations

import asyncio

import pytest

from apiserver.pipeline.turns import LargeWork


async def test_small_work_goes_between_large_pieces_and_the_first_to_come_is_the_first() -> None:
    work, order = LargeWork(), []

    async def large(name: str) -> None:
        for piece in range(2):
            async with work:
                order.append(f"{name}{piece}")

    async def small() -> None:
        order.append("small")

    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(large(name))
        group.create_task(small())
    assert order.index("small") == 1
    assert sorted(order[2:4]) == ["b0", "c0"]


async def test_one_that_is_cancelled_lets_the_next_go() -> None:
    work = LargeWork()
    first = asyncio.create_task(work.turn())
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await work.turn()
