"""A daemon ends when its host has another network namespace, and not before."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from componentbase.daemon import FatalError
from componentbase.host.hostnetwork import CHECK_SECONDS, end_outside_host_network, network_namespace
from tests.fakes.clock import FakeClock

OWN, OTHER = "net:[4026531841]", "net:[4026531999]"


async def test_the_daemon_goes_on_until_the_host_has_another_namespace(tmp_path: Path) -> None:
    file, clock = tmp_path / "netns", FakeClock()
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch_until_fatal(file, clock))
        await clock.advance(CHECK_SECONDS)
        for still_own in (f"{OWN}\n", ""):  # the file is empty for a moment when the host writes it anew
            file.write_text(still_own)
            await clock.advance(CHECK_SECONDS)
        file.unlink()
        await clock.advance(CHECK_SECONDS)
        assert not watching.done()
        file.write_text(f"{OTHER}\n")
        await clock.advance(CHECK_SECONDS)
        assert OTHER in await watching


async def test_without_a_file_there_is_nothing_to_watch() -> None:
    await end_outside_host_network("", FakeClock(), OWN)


def test_the_own_namespace_is_the_kernel_s_name_of_it() -> None:
    assert network_namespace() == f"net:[{os.stat('/proc/self/ns/net').st_ino}]"


async def watch_until_fatal(file: Path, clock: FakeClock) -> str:
    with pytest.raises(FatalError) as fatal:
        await end_outside_host_network(str(file), clock, OWN)
    return str(fatal.value)
