"""Runs postStart and preStop hooks."""

from __future__ import annotations

from componentbase.clock import Clock
from kubeapi.core.pod.probes import LifecycleHandler
from kubelet.probe.interface import ProbedContainer
from kubelet.probe.probes import run_hook_action


async def run_hook(container: ProbedContainer, handler: LifecycleHandler, clock: Clock) -> None:
    """Returns when the hook is over. Raises: HookError."""
    if handler.sleep is not None:
        await clock.sleep(handler.sleep.seconds)
    else:
        await run_hook_action(container, handler)
