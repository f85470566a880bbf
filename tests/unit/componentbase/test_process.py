"""Programs that daemons run: their input, their end, their failures, on the event loop that daemons have."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from componentbase.host.process import CommandError, run
from tests.kits.net.backend import UVLOOP, Backend

MUCH = "rule\n" * 400_000  # more than any pipe holds


@pytest.fixture(scope="module")
def anyio_backend() -> Backend:
    return UVLOOP


async def test_input_and_output() -> None:
    assert await run("cat", stdin=MUCH) == MUCH
    assert await run("cat") == ""


@pytest.mark.parametrize("stdin", ["", "some", MUCH])
async def test_a_program_may_end_without_reading_its_input(stdin: str) -> None:
    async def again_and_again() -> str:
        for _ in range(20):
            await run("true", stdin=stdin)
        return "alive"

    assert await again_and_again() == "alive"
    with pytest.raises(CommandError) as caught:
        await run("sh", "-c", "exec <&-; echo refused >&2; exit 3", stdin=stdin)
    assert (caught.value.code, str(caught.value)) == (3, "sh -c exec <&-; echo refused >&2; exit 3: refused")


async def test_a_program_that_ended_before_anybody_looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy loop comes back to it only then: a pipe to it would be closed by now."""
    create = asyncio.create_subprocess_exec

    async def create_and_be_late(*argv: Any, **options: Any) -> asyncio.subprocess.Process:
        process = await create(*argv, **options)
        await process.wait()
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", create_and_be_late)
    assert await run("echo", "saved") == "saved\n"
    assert await run("echo", "restored", stdin="rules") == "restored\n"


async def test_what_cannot_be_run(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.write_text("no program")
    for program, why in (("no-such-program", "no such program on PATH"), (str(file), "Permission denied")):
        with pytest.raises(CommandError, match=why):
            await run(program)


async def test_one_that_does_not_end_is_killed() -> None:
    with pytest.raises(CommandError, match="not done after"):
        await run("sleep", "1000", timeout_seconds=0.1)


async def test_no_file_stays_open() -> None:
    await run("true")  # the loop opens its own files for the first one
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await run("true", stdin="x")
    assert len(os.listdir("/proc/self/fd")) == before
