"""Schedulers that run while a test does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.kits.control_plane.schedulerbench import Bench, Started
from tests.kits.tasks import background


@pytest.fixture
async def started() -> AsyncIterator[Started]:
    async with background() as tasks:

        def started(**options: Any) -> Bench:
            bench = Bench(**options)
            tasks.create_task(bench.scheduler.run())
            return bench

        yield started


@pytest.fixture
async def bench(started: Started) -> Bench:
    return started()
