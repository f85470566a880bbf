"""Ends the pods of a host that is about to be switched off, by priority, each group within its own time.

Source: Kubernetes documentation, "Node Shutdowns"; reasons and messages as upstream's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from componentbase import logs
from componentbase.clock import Clock
from componentbase.tasks import first_of
from kubelet.container.spec import grace_seconds
from kubelet.pod.status.compute import Failure
from kubelet.pod.status.manager import StatusManager
from kubelet.pod.table import PodTable
from kubelet.pod.workers import PodWorkers
from kubelet.shutdown_flags import ShutdownPeriod, shutdown_groups

REFUSED = Failure("NodeShutdown", "Pod was rejected as the node is shutting down.")
ENDED = Failure("Terminated", "Pod was terminated in response to imminent node shutdown.", disruption=True)
KILL_SECONDS = 4.0
"""Beyond a group's time: for SIGKILL to work, and for the API to hear of it."""

log = logs.logger(__name__)


class NodeShutdown:
    """`changed` is called when the shutdown begins, so that the node's status tells of it."""

    def __init__(
        self,
        periods: Sequence[ShutdownPeriod],
        table: PodTable,
        workers: PodWorkers,
        statuses: StatusManager,
        changed: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._periods = periods
        self._table = table
        self._workers = workers
        self._statuses = statuses
        self._changed = changed
        self._clock = clock

    def problem(self) -> str:
        """Returns the text that makes the node not ready; "" while the host stays on."""
        return "node is shutting down" if self._table.refusal is REFUSED else ""

    async def end_pods(self) -> None:
        """Returns when no pod runs and the API knows, or when the time of all is over. New pods are refused."""
        self._table.refusal = REFUSED
        self._changed()
        for period, pods in shutdown_groups(self._periods, [work.asked for work in self._table.unfinished()]):
            log.info("ending pods, as the host is shutting down", pods=len(pods), seconds=period.seconds)
            ended = [
                self._workers.fail(pod.metadata.uid or "", ENDED, min(grace_seconds(pod), period.seconds))
                for pod in pods
            ]
            await first_of(_all(ended), self._clock.sleep(period.seconds + KILL_SECONDS))
        await first_of(self._statuses.all_sent(), self._clock.sleep(KILL_SECONDS))


async def _all(events: Sequence[asyncio.Event]) -> None:
    for event in events:
        await event.wait()
