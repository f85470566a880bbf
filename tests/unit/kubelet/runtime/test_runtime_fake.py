"""The fake runtime keeps the contract, so tests that use it say something about real containers."""

from __future__ import annotations

import pytest

from kubelet.runtime.interface import Runtime
from tests.fakes.runtime import FakeRuntime
from tests.kits.node.runtime_contract import IMAGE, RuntimeContract


@pytest.fixture
def runtime() -> Runtime:
    runtime = FakeRuntime()
    runtime.add_image(IMAGE)
    return runtime


class TestFakeRuntime(RuntimeContract):
    pass
