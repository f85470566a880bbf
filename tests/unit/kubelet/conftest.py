"""What tests of the kubelet share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kits.node.kubeletbench import Bench, kubelet_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with kubelet_bench(tmp_path) as bench:
        yield bench
