"""The state of one pod's work, shared by its worker and by the code that acts for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from componentbase.tasks import first_of
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.status import PodStatus
from kubelet.container.spec import grace_seconds
from kubelet.pod.allocation import Allocation, granted_pod, recalled_allocation
from kubelet.pod.status.compute import Failure, Waiting
from kubelet.runtime.configs import Mount
from kubelet.volume.interface import Mounted

R = TypeVar("R")

WorkState = Literal["sync", "terminating", "terminated"]
"""`sync`: make it run; `terminating`: stop it; `terminated`: nothing runs, clean up. It never goes back."""

MIN_GRACE_SECONDS = 1


class Stopping(Exception):
    """The pod has to stop: what was being waited for no longer matters."""


class SyncFailed(Exception):
    """Something outside the pod's spec went wrong; an event has said so, and it is tried again with backoff."""


class SandboxFailed(SyncFailed):
    """The pod has no sandbox, and so nothing that could run; what the runtime tells of it is the failed try itself."""


@dataclass(slots=True)
class PodWork:
    """One pod on this node. Only its worker's task changes it; others set `asked`, `gone` and the events.

    `asked` is the pod as the API has it, but with the status that this kubelet decided (once it has, `reported`).
    `static`: it comes from a manifest file, and the API has but a mirror of it.
    `without_sandbox`: the last look made none, so that changes in the runtime need no other one.
    `waiting`: by container name, why it is not running. `failure`: why the kubelet ended the pod.
    """

    asked: Pod
    state: WorkState = "sync"
    static: bool = False
    gone: bool = False
    admitted: bool = False
    cleaned: bool = False
    reported: bool = False
    without_sandbox: bool = False
    waiting: dict[str, Waiting] = field(default_factory=dict)
    failure: Failure | None = None
    grace_override: int | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    grace_changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Nothing of the pod runs any more, and its last status is decided."""
    hooks_run: set[str] = field(default_factory=set)
    """Ids of containers whose preStop hook has been started: a second, shorter kill does not repeat it."""
    allocation: Allocation = field(init=False)

    def __post_init__(self) -> None:
        self.allocation = recalled_allocation(self.asked)

    @property
    def pod(self) -> Pod:
        """The pod as it is to run: with the resources that it was granted in place of those it asks for."""
        return granted_pod(self.asked, self.allocation.granted)

    @property
    def uid(self) -> str:
        return self.asked.metadata.uid or ""

    @property
    def leaves(self) -> bool:
        """Tells whether the pod is gone from the API, or will be once nothing of it is left here."""
        return self.gone or self.asked.metadata.deletionTimestamp is not None

    def decide_status(self, status: PodStatus) -> None:
        """Takes the status that this kubelet has decided. From now on the API's copy of it is only an echo."""
        self.asked, self.reported = self.asked.model_copy(update={"status": status}), True

    def grace_seconds(self) -> int:
        """Seconds allowed to the whole pod from the start of its termination."""
        grace = grace_seconds(self.asked) if self.grace_override is None else self.grace_override
        return max(grace, MIN_GRACE_SECONDS)

    async def unless_stopping(self, work: Coroutine[Any, Any, R]) -> R:
        """Returns the result of `work`, unless the pod has to stop before. Raises: Stopping."""
        return await unless(self.stopping, work, Stopping())


async def unless(event: asyncio.Event, work: Coroutine[Any, Any, R], otherwise: Exception) -> R:
    """Returns the result of `work`; when `event` is set before, ends `work` and raises `otherwise`."""
    if event.is_set():
        work.close()
        raise otherwise
    running = asyncio.create_task(work)
    try:
        await first_of(asyncio.wait((running,)), event.wait())
        if running.done():
            return running.result()
        raise otherwise
    finally:
        running.cancel()
        await asyncio.wait((running,))  # really over, so that nothing of it acts later
        if not running.cancelled():
            running.exception()  # asked for, or asyncio would report it as lost: the caller raises another one


@dataclass(frozen=True, slots=True)
class ContainerSetup:
    """Everything that all containers of one pass have in common; `running` is the id of each that runs, by name."""

    sandbox_id: str
    pod_ips: tuple[str, ...]
    volumes: dict[str, Mounted]
    hosts: Mount | None = None
    running: Mapping[str, str] = field(default_factory=dict)
