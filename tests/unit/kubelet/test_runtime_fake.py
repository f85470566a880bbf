"""The fake runtime keeps the contract, so tests that use it say something about real containers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from kubelet.runtime.interface import Runtime
from tests.fakes.runtime import FakeRuntime
from tests.kits.runtime_contract import IMAGE, RuntimeContract


class TestFakeRuntime(RuntimeContract):
    def opened(self) -> AbstractAsyncContextManager[Runtime]:
        return _fake()


@asynccontextmanager
async def _fake() -> AsyncIterator[Runtime]:
    runtime = FakeRuntime()
    runtime.add_image(IMAGE)
    yield runtime
