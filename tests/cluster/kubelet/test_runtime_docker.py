"""The Docker runtime on a real engine, in a network namespace of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from kubelet.runtime.interface import Runtime
from tests.kits.machine.docker import WorkerHost, open_runtime, worker_host
from tests.kits.node.runtime_contract import RuntimeContract

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerHost]:
    yield from worker_host("rt-contract", tmp_path_factory.mktemp("rt"), subnet=211)


@pytest.fixture
async def runtime(host: WorkerHost) -> AsyncIterator[Runtime]:
    async with open_runtime(host) as runtime:
        yield runtime


class TestDockerRuntime(RuntimeContract):
    pass
