"""Evaluates the expressions of one policy for one request, with what it may cost in all.

Expressions run in the event loop while they are cheap; a policy that turns out to be costly starts again in a thread,
so that other requests go on.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Generic, TypeVar

from apiserver.admission._review import MustAsk, Review
from kubecel import EXPRESSION_LIMIT, CompileError, CostExceeded, EvaluationError, Program

R = TypeVar("R")

POLICY_LIMIT = 10_000_000
"""Units of cost that all expressions of one policy may take for one request, as upstream."""
INLINE_LIMIT = 20_000
"""What they may take in the event loop: some ten milliseconds."""
THREADS = 2
"""Costly policies that are evaluated at once: they share one interpreter anyway."""


INLINE_BYTES = 4096
"""Objects whose expressions are compiled in the event loop: some five milliseconds."""


class TooCostly(Exception):
    """The policy needs more than it may take in the event loop."""


class Lazily(Generic[R]):
    """What is compiled when it is first needed, and once."""

    def __init__(self, size: int, compile: Callable[[], R]) -> None:
        """`size`: bytes that hold the expressions."""
        self._size, self._compile = size, compile
        self._lock = threading.Lock()
        self._result: R | None = None
        self._error: CompileError | None = None

    def get(self, *, inline: bool) -> R:
        """Raises: CompileError; TooCostly, for what is not compiled yet and too large for the event loop."""
        if self._result is None and self._error is None:
            if inline and self._size > INLINE_BYTES:
                raise TooCostly
            with self._lock:  # whoever waits for it is in a thread, too, or it is small
                self._once()
        if self._result is None:
            assert self._error is not None
            raise self._error
        return self._result

    def _once(self) -> None:
        if self._result is None and self._error is None:
            try:
                self._result = self._compile()
            except CompileError as error:
                self._error = error


class OutOfBudget(Exception):
    """The policy has cost all that it may."""


class Evaluation:
    """The variables of one evaluation, and the cost that is left."""

    def __init__(self, values: Mapping[str, Any], variables: Mapping[str, Program], *, inline: bool) -> None:
        self._values = {**values, "variables": _Lazy(self, variables)}
        self._left = INLINE_LIMIT if inline else POLICY_LIMIT
        self._inline = inline

    def value(self, program: Program) -> Any:
        """Raises: EvaluationError, with upstream's text; OutOfBudget, TooCostly, MustAsk."""
        try:
            return self._measured(program)
        except EvaluationError as error:
            raise EvaluationError(f"expression '{program.source}' resulted in error: {error}") from None

    def plain_value(self, program: Program) -> Any:
        """The same for the value of a variable, whose error is that of the expression that uses it."""
        return self._measured(program)

    def _measured(self, program: Program) -> Any:
        limit = min(EXPRESSION_LIMIT, self._left)
        try:
            value, cost = program.measure(self._values, limit)
        except CostExceeded:
            if self._inline:
                raise TooCostly from None
            if limit < EXPRESSION_LIMIT:
                raise OutOfBudget from None
            raise EvaluationError("operation cancelled: actual cost limit exceeded") from None
        self._left -= cost
        return value


class _Lazy(dict[str, Any]):
    """The policy's variables: each is evaluated when it is first used."""

    def __init__(self, evaluation: Evaluation, programs: Mapping[str, Program]) -> None:
        super().__init__()
        self._evaluation, self._programs = evaluation, programs
        self._errors: dict[str, str] = {}

    def __missing__(self, name: str) -> Any:
        if name in self._errors:
            raise EvaluationError(self._errors[name])
        program = self._programs.get(name)
        if program is None:
            raise EvaluationError(f"no such key: {name}")
        try:
            value = self[name] = self._evaluation.plain_value(program)
        except EvaluationError as error:
            self._errors[name] = str(error)
            raise
        return value

    def __contains__(self, name: object) -> bool:
        return name in self._programs


def conditions_hold(conditions: Sequence[tuple[str, Program]], evaluation: Evaluation) -> bool:
    """Tells whether the match conditions (name, expression) hold. One that is false decides, whatever errors others
    have.

    Raises: EvaluationError, if none is false and one fails.
    """
    fault: EvaluationError | None = None
    for _, program in conditions:
        try:
            if evaluation.value(program) is not True:
                return False
        except EvaluationError as error:
            fault = fault or error
    if fault is not None:
        raise fault
    return True


def request_values(
    review: Review, uses: Collection[str], document: dict[str, Any] | None, param: dict[str, Any] | None
) -> dict[str, Any]:
    """Returns what the variables of expressions stand for, of those that they use."""
    values: dict[str, Any] = {"object": document, "params": param}
    for name, attribute in _OF_REVIEW.items():
        if name in uses:
            values[name] = getattr(review, attribute)
    return values


_OF_REVIEW = {
    "oldObject": "old_document",
    "request": "request",
    "namespaceObject": "namespace",
    "authorizer": "authorizer",
    "authorizer.requestResource": "request_check",
}


def within_reach(review: Review, work: Callable[[bool], R]) -> R | Awaitable[R]:
    """Runs `work(inline)` in the event loop. Where it costs too much for that, or has to wait for an answer, returns
    what to await. The work must have no effects: it may start several times."""
    try:
        return work(True)
    except MustAsk as missing:
        return _later(review, work, missing)
    except TooCostly:
        return _later(review, work, None)


async def _later(review: Review, work: Callable[[bool], R], missing: MustAsk | None) -> R:
    inline = missing is not None
    while True:
        if missing is not None:
            await review.ask(missing)
        try:
            if inline:
                return work(True)
            async with _threads():
                return await asyncio.to_thread(work, False)
        except MustAsk as error:
            missing = error
        except TooCostly:
            missing, inline = None, False


_semaphores: dict[asyncio.AbstractEventLoop, asyncio.Semaphore] = {}


def _threads() -> asyncio.Semaphore:
    loop = asyncio.get_running_loop()
    if loop not in _semaphores:
        _semaphores.clear()
        _semaphores[loop] = asyncio.Semaphore(THREADS)
    return _semaphores[loop]
