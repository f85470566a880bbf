"""The machine that each test has to itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kits.tasks import Tasks
from tests.unit.kubelet.volume.csi._machine import Machine


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    tasks = Tasks()
    machine = Machine(tmp_path, tasks)
    yield machine
    for driver in machine.running:
        await asyncio.to_thread(driver.stop)
    await tasks.end()
