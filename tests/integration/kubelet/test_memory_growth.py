"""The kernel tells that a control group's memory has grown."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelet.eviction.growth import memory_grown
from tests.kits.eventually import eventually

MIB = 1 << 20
ROOT = Path("/sys/fs/cgroup/memory")
HOLD = "data = b'x' * (48 << 20); print(flush=True); input()"

pytestmark = pytest.mark.skipif(
    not os.access(ROOT / "cgroup.event_control", os.W_OK), reason="needs control groups of version 1, and root"
)


@pytest.fixture
def group() -> Iterator[str]:
    name = f"/mini-kubernetes-test-{os.getpid()}"
    folder = ROOT / name.removeprefix("/")
    folder.mkdir()
    try:
        yield name
    finally:
        eventually(lambda: not (folder / "cgroup.procs").read_text(), "its processes have ended")
        folder.rmdir()


async def test_growth_within_the_room_is_not_told_and_beyond_it_is(group: str) -> None:
    watches = [asyncio.create_task(memory_grown({"/": 1 << 50, group: room * MIB})) for room in (500, 32)]
    await asyncio.sleep(0)
    script = f'echo $$ > {ROOT}{group}/cgroup.procs; exec python3 -c "{HOLD}"'
    holder = await asyncio.create_subprocess_exec("sh", "-c", script, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        await holder.stdout.readline()
        await asyncio.wait_for(watches[1], 30)
        assert not watches[0].done()
    finally:
        await holder.communicate(b"\n")
        watches[0].cancel()


async def test_a_group_that_is_gone_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        await memory_grown({"/mini-kubernetes-none": MIB})
