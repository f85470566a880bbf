"""The pods of this node by uid, with the state of the work on each: one table for all parts of the kubelet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from kubeapi.core.pod.model import Pod
from kubelet.pod.status.compute import Failure
from kubelet.pod.work import PodWork


class PodTable:
    """Only `PodWorkers` adds and removes entries. `refusal` says why no pod is taken in any more; None while one is."""

    def __init__(self) -> None:
        self._works: dict[str, PodWork] = {}
        self.refusal: Failure | None = None
        self._followers: list[asyncio.Event] = []

    def get(self, uid: str) -> PodWork | None:
        return self._works.get(uid)

    def add(self, work: PodWork) -> None:
        self._works[work.uid] = work
        self._tell()

    def remove(self, uid: str) -> None:
        self._works.pop(uid, None)
        self._tell()

    def follow(self) -> asyncio.Event:
        """Returns an event that is set when a pod comes or leaves; the caller clears it."""
        event = asyncio.Event()
        self._followers.append(event)
        return event

    def _tell(self) -> None:
        for event in self._followers:
            event.set()

    def static(self) -> list[PodWork]:
        """Lists the pods that come from manifest files."""
        return [work for work in self._works.values() if work.static]

    def wake(self, uid: str) -> None:
        """Makes the pod's worker look again, because something about the pod may have changed."""
        work = self._works.get(uid)
        if work is not None:
            work.wake.set()

    def runtime_changed(self, uid: str) -> None:
        """Wakes the worker, unless all that the runtime can tell of is its own last try to make a sandbox."""
        work = self._works.get(uid)
        if work is not None and not work.without_sandbox:
            work.wake.set()

    def admitted(self) -> Iterable[Pod]:
        """Lists the pods that hold resources of the node.

        A pod that the API has forgotten is left out while it ends: the scheduler no longer counts it either.
        """
        works = (work for work in self._works.values() if work.admitted and not work.gone)
        return [work.pod for work in works if work.state != "terminated"]

    def unfinished(self) -> list[PodWork]:
        """Lists the pods of which something may run."""
        return [work for work in self._works.values() if not work.ended.is_set()]

    def is_syncing(self, uid: str) -> bool:
        """Tells whether the pod is neither ending nor unknown, so that its leftovers may be collected."""
        work = self._works.get(uid)
        return work is not None and work.state == "sync"

    def has_ended(self, uid: str) -> bool:
        """Tells whether nothing of the pod runs any more, or will."""
        work = self._works.get(uid)
        return work is not None and work.state == "terminated"

    def uids(self) -> set[str]:
        return set(self._works)

    def __len__(self) -> int:
        return len(self._works)
