"""Tasks end with the code that started them."""

import asyncio
from weakref import ref

import pytest

from componentbase.tasks import Locks, alongside, first_of


async def test_the_first_to_end_ends_the_others() -> None:
    ended = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("forever")

    async def short() -> None:
        await asyncio.sleep(0)

    assert await first_of(forever(), short()) == 1
    assert ended == ["forever"]


async def test_the_failure_of_the_first_is_raised() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await first_of(asyncio.sleep(60), fail())


async def test_work_beside_a_block_ends_with_it() -> None:
    async with alongside(asyncio.sleep(60)) as task:
        assert not task.done()
    assert task.cancelled()


async def test_tasks_with_one_key_go_one_after_the_other() -> None:
    locks = Locks[str]()
    steps: list[str] = []

    async def work(key: str, step: str) -> None:
        async with locks.of(key):
            steps.append(step)
            await asyncio.sleep(0)
            steps.append(step)

    await asyncio.gather(work("a", "first"), work("a", "second"), work("a", "third"))
    assert steps == ["first"] * 2 + ["second"] * 2 + ["third"] * 2
    steps.clear()
    await asyncio.gather(work("a", "first"), work("b", "other"))
    assert steps == ["first", "other"] * 2


async def test_a_lock_that_nobody_needs_is_forgotten() -> None:
    locks = Locks[str]()
    lock = locks.of("a")
    assert locks.of("a") is lock
    kept = ref(lock)
    del lock
    assert kept() is None
