"""Prepares the container runtime, and says what makes the node not ready."""

from __future__ import annotations

from componentbase import logs
from componentbase.clock import Clock
from kubelet.node.pleg import Pleg
from kubelet.runtime.interface import EngineError, Runtime
from kubelet.runtime.network import network_not_ready

RETRY_SECONDS = 1.0

log = logs.logger(__name__)


class RuntimeHealth:
    """The runtime is not ready until `prepare` has returned, and then while the last relist failed."""

    def __init__(self, runtime: Runtime, pleg: Pleg, clock: Clock) -> None:
        self._runtime = runtime
        self._pleg = pleg
        self._clock = clock
        self._not_prepared = "container runtime is not ready yet"

    async def prepare(self) -> None:
        """Returns once the runtime has all that creating pods needs."""
        while self._not_prepared:
            try:
                await self._runtime.prepare()
                self._not_prepared = ""
            except EngineError as error:
                if self._not_prepared != str(error):
                    log.warning("container runtime is not ready", error=str(error))
                self._not_prepared = str(error)
                await self._clock.sleep(RETRY_SECONDS)

    def error(self) -> str:
        """Says why the runtime is not ready; "" when it is."""
        return self._not_prepared or self._pleg.runtime_error()

    def problems(self) -> tuple[str, ...]:
        """The texts of the node's Ready condition; none when it is ready."""
        error, stale, network = self.error(), self._pleg.health_error(), self._runtime.network_problem()
        return (
            *([f"container runtime is down: {error}"] if error else ()),
            *([stale] if stale else ()),
            *([network_not_ready(network)] if network else ()),
        )
