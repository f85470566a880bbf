"""Answers that are shared by those who ask at the same time, and kept for a few seconds."""

from __future__ import annotations

import asyncio

import pytest

from metrics_server.answers import SharedAnswers
from tests.fakes.clock import FakeClock, idle


class Source:
    """Answers when it is told to, with the number of the question and what was answered before."""

    def __init__(self) -> None:
        self.questions: list[asyncio.Future[str]] = []

    async def ask(self, before: str | None) -> str:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.questions.append(answer)
        return f"{await answer} after {before}"


def answers(clock: FakeClock, *, parallel: int = 8, most: int = 8) -> SharedAnswers[str]:
    return SharedAnswers(clock, keep_seconds=5.0, parallel=parallel, most=most)


async def test_those_who_ask_meanwhile_share_an_answer() -> None:
    shared, source = answers(clock := FakeClock()), Source()
    first, second = (asyncio.create_task(shared.get("a", source.ask)) for _ in range(2))
    await idle()
    clock.step(60.0)  # a question that takes long is not asked again
    third = asyncio.create_task(shared.get("a", source.ask))
    await idle()
    first.cancel()  # the others wait on
    source.questions[0].set_result("one")
    assert [await second, await third] == ["one after None"] * 2
    assert len(source.questions) == 1


async def test_an_answer_is_kept_for_a_while_and_the_next_question_gets_it() -> None:
    shared, source = answers(clock := FakeClock()), Source()

    async def get(answer: str) -> str:
        task = asyncio.create_task(shared.get("a", source.ask))
        await idle()
        if not source.questions[-1].done():
            source.questions[-1].set_result(answer)
        return await task

    assert await get("one") == "one after None"
    clock.step(4.9)
    assert await get("two") == "one after None"
    clock.step(0.1)
    assert await get("three") == "three after one after None"


async def test_a_question_that_failed_is_asked_again_as_if_nothing_was_known() -> None:
    shared, source = answers(clock := FakeClock()), Source()
    task = asyncio.create_task(shared.get("a", source.ask))
    await idle()
    source.questions[0].set_exception(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        await task
    clock.step(5.0)
    again = asyncio.create_task(shared.get("a", source.ask))
    await idle()
    source.questions[1].set_result("one")
    assert await again == "one after None"


async def test_no_more_are_asked_at_once_than_may_be() -> None:
    shared, source = answers(FakeClock(), parallel=1), Source()
    tasks = [asyncio.create_task(shared.get(key, source.ask)) for key in "ab"]
    await idle()
    assert len(source.questions) == 1
    source.questions[0].set_result("one")
    await idle()
    source.questions[1].set_result("two")
    assert [await task for task in tasks] == ["one after None", "two after None"]


async def test_of_too_many_answers_the_one_goes_that_nobody_asked_for_the_longest() -> None:
    shared, asked = answers(FakeClock(), most=2), list[str]()

    async def get(key: str) -> None:
        async def ask(before: str | None) -> str:
            asked.append(key)
            return key

        await shared.get(key, ask)

    for key in "abacab":
        await get(key)
    assert asked == ["a", "b", "c", "b"]
