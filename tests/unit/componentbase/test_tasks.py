"""Tasks end with the code that started them."""

import asyncio

import pytest

from componentbase.tasks import alongside, first_of


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
