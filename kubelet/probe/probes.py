"""Makes one probe, or runs one hook, with whichever action its spec names. The actions are collected (★)."""

from __future__ import annotations

from functools import cache
from typing import Any

from apimachinery.catalogue import collect
from componentbase.clock import Clock
from kubeapi.core.pod.probes import LifecycleHandler, Probe
from kubelet.probe.interface import HookError, PortNotFound, ProbedContainer, ProbeType
from kubelet.probe.state import ProbeResult


@cache
def probe_types() -> dict[str, ProbeType]:
    """All probe kinds, by the member of the spec that asks for them."""
    return {kind.field: kind for kind in collect("kubelet.probe.actions", "PROBE", ProbeType).values()}


def _action_of(spec: Probe | LifecycleHandler) -> tuple[ProbeType | None, Any]:
    for field, kind in probe_types().items():
        action = getattr(spec, field, None)
        if action is not None:
            return kind, action
    return None, None


async def run_probe(container: ProbedContainer, probe: Probe) -> ProbeResult:
    """Makes one attempt, within the probe's timeout."""
    kind, action = _action_of(probe)
    if kind is None:
        return ProbeResult("error", "missing probe handler")
    try:
        return await kind.attempt(container, action, float(max(probe.timeoutSeconds, 1)))
    except PortNotFound as error:
        return ProbeResult("error", str(error))


async def run_hook(container: ProbedContainer, handler: LifecycleHandler, clock: Clock) -> None:
    """Runs a lifecycle hook once and returns when it is over. Raises: HookError."""
    if handler.sleep is not None:
        await clock.sleep(handler.sleep.seconds)
        return
    kind, action = _action_of(handler)
    if kind is None or kind.hook is None:
        return
    try:
        await kind.hook(container, action)
    except PortNotFound as error:
        raise HookError(str(error)) from None
