"""Programs that daemons run: their input, their end, their failures, on the event loop that daemons have."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from componentbase.process import CommandError, run

MUCH = "rule\n" * 400_000  # more than any pipe holds


def on_loop(work: Coroutine[Any, Any, str]) -> str:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def test_input_and_output() -> None:
    assert on_loop(run("cat", stdin=MUCH)) == MUCH
    assert on_loop(run("cat")) == ""


@pytest.mark.parametrize("stdin", ["", "some", MUCH])
def test_a_program_may_end_without_reading_its_input(stdin: str) -> None:
    async def again_and_again() -> str:
        for _ in range(20):
            await run("true", stdin=stdin)
        return "alive"

    assert on_loop(again_and_again()) == "alive"
    with pytest.raises(CommandError) as caught:
        on_loop(run("sh", "-c", "exec <&-; echo refused >&2; exit 3", stdin=stdin))
    assert (caught.value.code, str(caught.value)) == (3, "sh -c exec <&-; echo refused >&2; exit 3: refused")


def test_a_program_that_ended_before_anybody_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy loop comes back to it only then: a pipe to it would be closed by now."""
    create = asyncio.create_subprocess_exec

    async def create_and_be_late(*argv: Any, **options: Any) -> asyncio.subprocess.Process:
        process = await create(*argv, **options)
        await process.wait()
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", create_and_be_late)
    assert on_loop(run("echo", "saved")) == "saved\n"
    assert on_loop(run("echo", "restored", stdin="rules")) == "restored\n"


def test_what_cannot_be_run(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.write_text("no program")
    for program, why in (("no-such-program", "no such program on PATH"), (str(file), "Permission denied")):
        with pytest.raises(CommandError, match=why):
            on_loop(run(program))


def test_one_that_does_not_end_is_killed() -> None:
    with pytest.raises(CommandError, match="not done after"):
        on_loop(run("sleep", "1000", timeout_seconds=0.1))


def test_no_file_stays_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        on_loop(run("true", stdin="x"))
    assert len(os.listdir("/proc/self/fd")) == before
