"""What a pod's worker and the code that acts for it share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from kubeapi.core.pod.model import Pod
from kubelet.container.spec import grace_seconds
from kubelet.pod.allocation import Allocation, allocated_pod, recalled
from kubelet.pod.status.compute import Failure, Waiting
from kubelet.runtime.interface import Mount
from kubelet.volume.interface import Mounted

R = TypeVar("R")

WorkState = Literal["sync", "terminating", "terminated"]
"""`sync`: make it run; `terminating`: stop it; `terminated`: nothing runs, clean up. It never goes back."""

MIN_GRACE_SECONDS = 1


class Stopping(Exception):
    """The pod has to stop: what was being waited for no longer matters."""


@dataclass(slots=True)
class PodWork:
    """One pod on this node. Only its worker's task changes it; others set `pod`, `gone` and the events.

    `waiting`: by container name, why it is not running. `failure`: why the kubelet ended the pod.
    """

    pod: Pod
    state: WorkState = "sync"
    gone: bool = False
    admitted: bool = False
    cleaned: bool = False
    waiting: dict[str, Waiting] = field(default_factory=dict)
    failure: Failure | None = None
    grace_override: int | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    grace_changed: asyncio.Event = field(default_factory=asyncio.Event)
    hooks_run: set[str] = field(default_factory=set)
    """Ids of containers whose preStop hook has been started: a second, shorter kill does not repeat it."""
    allocation: Allocation = field(init=False)

    def __post_init__(self) -> None:
        self.allocation = recalled(self.pod)

    def allocated(self) -> Pod:
        """The pod with the resources that it was granted."""
        return allocated_pod(self.pod, self.allocation.granted)

    @property
    def uid(self) -> str:
        return self.pod.metadata.uid or ""

    def grace_seconds(self) -> int:
        """What is allowed to the whole pod from the start of its termination."""
        grace = grace_seconds(self.pod) if self.grace_override is None else self.grace_override
        return max(grace, MIN_GRACE_SECONDS)

    async def unless_stopping(self, work: Coroutine[Any, Any, R]) -> R:
        """Its result, unless the pod has to stop before. Raises: Stopping."""
        return await first(work, self.stopping, Stopping())


async def first(work: Coroutine[Any, Any, R], event: asyncio.Event, otherwise: Exception) -> R:
    """The result of `work`, or, when `event` is set before, `work` is cancelled and `otherwise` raised."""
    if event.is_set():
        work.close()
        raise otherwise
    running = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return running.result()
        raise otherwise
    finally:
        waiting.cancel()
        await _ended(running)


async def _ended(task: asyncio.Future[Any]) -> None:
    """Cancels and waits until the task is really over, so that nothing of it acts later."""
    if not task.done():
        task.cancel()
        await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()  # asked for, or asyncio would report it as lost: the caller raises another one


@dataclass(frozen=True, slots=True)
class ContainerSetup:
    """What all containers of one pass have in common; `running` is the id of each that runs, by name."""

    sandbox_id: str
    pod_ips: tuple[str, ...]
    volumes: dict[str, Mounted]
    hosts: Mount | None = None
    running: Mapping[str, str] = field(default_factory=dict)


async def gather_all(*work: Awaitable[None]) -> None:
    """All at once; the first error when all are over."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
