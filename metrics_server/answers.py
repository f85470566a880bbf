"""Keeps the answers of others for a few seconds, so that many who ask the same at a time cost one question."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from componentbase.clock import Clock

T = TypeVar("T")


@dataclass(slots=True)
class _Question(Generic[T]):
    asked_at: float
    answer: asyncio.Future[T]


class SharedAnswers(Generic[T]):
    """Answers by key. One question about a key is under way at a time: those who come meanwhile share its answer."""

    def __init__(self, clock: Clock, *, keep_seconds: float, parallel: int, most: int) -> None:
        """`parallel` questions are under way at once; the rest waits. Of more than `most` answers, the one goes that
        nobody has asked for the longest."""
        self._clock, self._keep_seconds, self._most = clock, keep_seconds, most
        self._slots = asyncio.Semaphore(parallel)
        self._questions: OrderedDict[str, _Question[T]] = OrderedDict()

    async def get(self, key: str, ask: Callable[[T | None], Awaitable[T]]) -> T:
        """Returns the answer. `ask` gets the one before, None if there was none. Raises: as `ask`."""
        now = self._clock.monotonic()
        question = self._questions.get(key)
        if question is None or (question.answer.done() and now - question.asked_at >= self._keep_seconds):
            before = _result(question.answer) if question is not None else None
            question = self._questions[key] = _Question(now, asyncio.ensure_future(self._ask(ask, before)))
            if len(self._questions) > self._most:
                self._questions.popitem(last=False)
        self._questions.move_to_end(key)
        return await asyncio.shield(question.answer)  # others may wait for it, too

    async def _ask(self, ask: Callable[[T | None], Awaitable[T]], before: T | None) -> T:
        async with self._slots:
            return await ask(before)


def _result(answer: asyncio.Future[T]) -> T | None:
    return None if answer.cancelled() or answer.exception() is not None else answer.result()
