"""Runs a daemon: one event loop, one main coroutine, signals that end it, and an exit code."""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn

from componentbase import logs

SHUTDOWN_SECONDS = 15.0
"""How long a daemon may clean up after a signal; then it ends as if killed (its supervisor would do the same)."""

log = logs.logger(__name__)


class FatalError(Exception):
    """Ends the daemon with this message alone: the message says what to do, a traceback would not help."""


def run(
    main: Callable[[], Awaitable[None]],
    name: str,
    *,
    shutdown_seconds: float = SHUTDOWN_SECONDS,
) -> NoReturn:
    """Runs `main` until it ends, raises, or SIGTERM or SIGINT cancels it, and ends the process.

    The exit code is 0 after a signal or a return, 1 after an error, which is logged here. `main` puts all its loops in
    one TaskGroup, so that a loop that dies ends the daemon. Logging is set up by the caller.
    """
    import uvloop

    # A full collection walks every cached object. Informers hold many that never form cycles, so collect seldom.
    gc.set_threshold(20_000, 20, 50)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(_supervise(main, name, shutdown_seconds))
    # To free every object first, as the interpreter does at its end, would take 0.25 s of CPU and help nobody.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


async def _supervise(main: Callable[[], Awaitable[None]], name: str, shutdown_seconds: float) -> int:
    loop = asyncio.get_running_loop()
    stopping = False

    async def work() -> None:
        await main()

    def on_signal(number: signal.Signals) -> None:
        nonlocal stopping
        if stopping:
            os._exit(128 + number)
        stopping = True
        log.info("stopping", signal=number.name)
        task.cancel()
        loop.call_later(shutdown_seconds, give_up)

    def give_up() -> None:
        log.error("did not stop in time", seconds=shutdown_seconds)
        sys.stderr.flush()
        os._exit(1)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    log.info("starting", daemon=name, pid=os.getpid())
    task = asyncio.create_task(work())
    await asyncio.wait((task,))
    return _exit_code(task, name)


def _exit_code(work: asyncio.Task[None], name: str) -> int:
    if work.cancelled():
        log.info("stopped", daemon=name)
        return 0
    error = work.exception()
    if error is None:
        log.info("ended", daemon=name)
        return 0
    for leaf in _leaves(error):
        if isinstance(leaf, FatalError):
            log.error("fatal", error=str(leaf))
        else:
            log.exception("fatal", leaf, error=f"{type(leaf).__name__}: {leaf}")
    return 1


def _leaves(error: BaseException) -> list[BaseException]:
    """Unpacks nested exception groups."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
