"""The Docker runtime on a real engine, in a network namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

import pytest

from kubelet.runtime.interface import Runtime
from tests.kits.docker import WorkerHost, open_runtime, worker_host
from tests.kits.runtime_contract import RuntimeContract

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerHost]:
    yield from worker_host("rt-contract", tmp_path_factory.mktemp("rt"), subnet=211)


class TestDockerRuntime(RuntimeContract):
    @pytest.fixture(autouse=True)
    def _use(self, host: WorkerHost) -> None:
        self.host = host

    def opened(self) -> AbstractAsyncContextManager[Runtime]:
        return open_runtime(self.host)
