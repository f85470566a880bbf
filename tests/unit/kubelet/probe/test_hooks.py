"""Lifecycle hooks: what runs for each kind of handler, and how its failure reads."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from apimachinery.model import from_dict
from kubeapi.core.pod.probes import LifecycleHandler
from kubeapi.core.pod.spec import Container
from kubelet.probe.interface import HookError, ProbedContainer
from kubelet.probe.probes import run_hook
from tests.fakes.clock import FakeClock, idle
from tests.fakes.runtime import FakeRuntime

APP = ProbedContainer(FakeRuntime(), Container(name="app"), "id", "127.0.0.1")


@pytest.mark.parametrize(
    ("handler", "error"),
    [
        ({"httpGet": {"port": "none"}}, "couldn't find port none"),
        ({"tcpSocket": {"port": "none"}}, "couldn't find port none"),
        ({"tcpSocket": {"port": 1}}, "dial tcp 127.0.0.1:1: connect: connection refused"),
    ],
)
async def test_a_hook_that_fails_says_why(handler: dict[str, Any], error: str) -> None:
    with pytest.raises(HookError, match=error):
        await run_hook(APP, from_dict(LifecycleHandler, handler), FakeClock())


async def test_a_sleep_hook_lasts_as_long_as_the_kubelets_clock_says() -> None:
    clock = FakeClock()
    handler = from_dict(LifecycleHandler, {"sleep": {"seconds": 1000}})
    hook = asyncio.create_task(run_hook(APP, handler, clock))
    await clock.advance(999)
    assert not hook.done()
    await clock.advance(1)
    await idle()
    assert hook.done()
