"""Pod lifecycle events: tells which pods' containers changed, so that a pod worker looks again.

Driven by the event stream of the runtime, so an idle node costs nothing. A slow relist catches what it may have lost;
a fast one stands in while the stream is broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from componentbase import logs
from componentbase.clock import Clock
from componentbase.tasks import first_of
from kubelet.runtime.interface import EngineError, PodRuntimeStatus, Runtime

RELIST_SECONDS = 30.0  # while events flow
BROKEN_RELIST_SECONDS = 1.0  # while they do not
HEALTHY_SECONDS = 180.0  # a relist older than this makes the node not ready, as upstream's threshold

log = logs.logger(__name__)

Fingerprint = frozenset[tuple[str, str]]


class Pleg:
    """Calls `on_change(pod_uid)` for every pod that may have changed; one call may stand for several changes."""

    def __init__(self, runtime: Runtime, on_change: Callable[[str], None], clock: Clock) -> None:
        self._runtime = runtime
        self._on_change = on_change
        self._clock = clock
        self._fingerprints: dict[str, Fingerprint] = {}
        self._relisted_at: float | None = None
        self._started_at = clock.monotonic()
        self._error = ""
        self._stream_changed = asyncio.Event()
        self._streaming = False
        self.pods: Mapping[str, PodRuntimeStatus] = {}
        """What the last relist found."""

    async def run(self) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_events())
            tasks.create_task(self._relist_for_ever())

    def health_error(self) -> str:
        """Returns "" while healthy, else the text for the node's Ready condition."""
        since = self._relisted_at if self._relisted_at is not None else self._started_at
        age = self._clock.monotonic() - since
        if age <= HEALTHY_SECONDS:
            return ""
        return f"PLEG is not healthy: pleg was last seen active {age:.0f}s ago; threshold is {HEALTHY_SECONDS:.0f}s"

    def runtime_error(self) -> str:
        """Returns "" when the last relist succeeded, else why it failed."""
        return self._error

    async def relist(self) -> None:
        """Compares the runtime with what was last seen. Raises: RuntimeUnavailable."""
        pods = await self._runtime.pods()
        for uid in _changed(self._fingerprints, pods):
            self._on_change(uid)
        self._fingerprints = {uid: _fingerprint(pod) for uid, pod in pods.items()}
        self.pods = pods
        self._relisted_at = self._clock.monotonic()

    async def _follow_events(self) -> None:
        while True:
            try:
                events = await self._runtime.events()
                self._set_streaming(True)
                async for event in events:
                    self._on_change(event.pod_uid)
            except EngineError as error:
                if self._streaming:
                    log.warning("event stream of the runtime broke", error=str(error))
            self._set_streaming(False)
            await self._clock.sleep(BROKEN_RELIST_SECONDS)

    def _set_streaming(self, streaming: bool) -> None:
        """Each change relists at once: what happened between two streams is seen by nothing else."""
        if streaming != self._streaming:
            self._streaming = streaming
            self._stream_changed.set()

    async def _relist_for_ever(self) -> None:
        while True:
            self._stream_changed.clear()
            try:
                await self.relist()
                if self._error:
                    log.info("runtime answers again")
                self._error = ""
            except EngineError as error:
                if not self._error:
                    log.error("cannot list containers", error=str(error))
                self._error = str(error)
            pause = RELIST_SECONDS if self._streaming and not self._error else BROKEN_RELIST_SECONDS
            await first_of(self._clock.sleep(pause), self._stream_changed.wait())


def _fingerprint(pod: PodRuntimeStatus) -> Fingerprint:
    states = {(container.id, container.state) for container in pod.containers}
    return frozenset(states | {(sandbox.id, "ready" if sandbox.ready else "notready") for sandbox in pod.sandboxes})


def _changed(before: Mapping[str, Fingerprint], pods: Mapping[str, PodRuntimeStatus]) -> list[str]:
    """Lists the pods that are new, gone, or whose containers have another state."""
    changed = [uid for uid, pod in pods.items() if before.get(uid) != _fingerprint(pod)]
    return changed + [uid for uid in before if uid not in pods]
