"""The contract of a probe kind: one file in `actions` that defines `PROBE`, for one member of a probe's spec.

Lifecycle hooks run the same actions, with no threshold and with other words for a failure.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from kubeapi.core.pod.spec import Container
from kubelet.probe.state import ProbeResult
from kubelet.runtime.interface import Runtime


class HookError(Exception):
    """The hook failed; the text is for FailedPostStartHook and FailedPreStopHook events."""


class PortNotFound(Exception):
    """The action names a port that its container does not have."""

    def __init__(self, port: int | str) -> None:
        super().__init__(f"couldn't find port {port}")


@dataclass(frozen=True, slots=True)
class ProbedContainer:
    """A running container, as an action reaches it."""

    runtime: Runtime
    spec: Container
    id: str
    pod_ip: str

    def port(self, port: int | str) -> int:
        """Resolves a port of the spec: a number, or the name of a port of the container. Raises: PortNotFound."""
        if isinstance(port, int):
            if 0 < port < 65536:
                return port
            raise PortNotFound(port)
        named = next((item.containerPort for item in self.spec.ports or () if item.name == port), None)
        if named is not None:
            return named
        if port.isdigit():
            return self.port(int(port))
        raise PortNotFound(port)


@dataclass(frozen=True, slots=True)
class ProbeType:
    """One way to ask a container something.

    `field` is the member of `Probe` and `LifecycleHandler` that holds the action. `attempt(container, action, seconds)`
    makes one probe within a time limit. `hook(container, action)` runs the action once and raises HookError when it
    fails; None for a kind that no hook can have. Both may raise PortNotFound.
    """

    field: str
    attempt: Callable[[ProbedContainer, Any, float], Awaitable[ProbeResult]]
    hook: Callable[[ProbedContainer, Any], Awaitable[None]] | None = None
