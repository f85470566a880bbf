"""Lifecycle hooks: what runs for each kind of handler, and how its failure reads."""

from __future__ import annotations

import asyncio

from apimachinery.model import from_dict
from kubeapi.core.pod.probes import LifecycleHandler
from kubeapi.core.pod.spec import Container
from kubelet.container.hooks import run_hook
from tests.fakes.clock import FakeClock, settle
from tests.fakes.runtime import FakeRuntime


async def test_a_sleep_hook_lasts_as_long_as_the_kubelets_clock_says() -> None:
    clock = FakeClock()
    handler = from_dict(LifecycleHandler, {"sleep": {"seconds": 1000}})
    hook = asyncio.create_task(run_hook(FakeRuntime(), Container(name="app"), handler, "id", "", clock))
    await clock.advance(999)
    assert not hook.done()
    await clock.advance(1)
    await settle()
    assert hook.done()
