"""Tells the API server about pods: the latest status of each, only what changed, retried until it is taken.

At most one status per pod waits: a newer one replaces it. So the queue is bounded by the number of pods.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from apimachinery.errors import Conflict, NotFound, StatusError
from componentbase import logs
from componentbase.clock import Clock
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.status import PodStatus
from kubeclient.backoff import Backoff
from kubeclient.rest import STRATEGIC_MERGE_PATCH, RestClient
from kubelet.pod.status.patch import status_patch

SENDERS = 8  # statuses sent at one time
FIRST_RETRY_SECONDS = 0.5
MOST_RETRY_SECONDS = 30.0

log = logs.logger(__name__)


@dataclass(slots=True)
class _Entry:
    """One pod: the status that the API has (as of `revision`), the one it should have, and if the pod may leave."""

    pod: Pod
    stored: PodStatus
    revision: int
    latest: PodStatus | None = None
    finished: bool = False
    deleted: bool = False
    sending: bool = False
    again: bool = False
    retry: Backoff | None = None


class StatusManager:
    """`set` never waits; `run` sends."""

    def __init__(self, rest: RestClient, clock: Clock) -> None:
        self._rest = rest
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._queued: set[str] = set()
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._tasks: asyncio.TaskGroup | None = None
        self._sent = asyncio.Event()

    def observe(self, pod: Pod, *, runs_as: str = "") -> None:
        """Takes in what the API has; a status that somebody else changed is put right.

        `runs_as` is the uid of the static pod that `pod` is the mirror of.
        """
        uid, revision = runs_as or pod.metadata.uid or "", _revision(pod)
        entry = self._entries.get(uid)
        if entry is None:
            self._entries[uid] = _Entry(pod, pod.status, revision)
            return
        entry.pod = pod
        if revision > entry.revision:
            entry.stored, entry.revision = pod.status, revision
            self._enqueue(uid)

    def set(self, pod: Pod, status: PodStatus) -> None:
        entry = self._entries.get(pod.metadata.uid or "")
        if entry is not None and entry.latest is not status:
            entry.latest = status
            self._enqueue(pod.metadata.uid or "")

    def finish(self, pod: Pod) -> None:
        """Lets the pod leave the API once its deletion is asked for: nothing of it runs on this node."""
        entry = self._entries.get(pod.metadata.uid or "")
        if entry is not None:
            entry.finished = True
            self._enqueue(pod.metadata.uid or "")

    def forget(self, uid: str) -> None:
        """Drops a pod that is gone from the API."""
        self._entries.pop(uid, None)

    async def all_sent(self) -> None:
        """Returns when the API has every status."""
        while any(entry.latest and status_patch(entry.stored, entry.latest) for entry in self._entries.values()):
            self._sent.clear()
            await self._sent.wait()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            for _ in range(SENDERS):
                tasks.create_task(self._send_for_ever())

    def _enqueue(self, uid: str) -> None:
        if uid not in self._queued:
            self._queued.add(uid)
            self._queue.put_nowait(uid)

    async def _send_for_ever(self) -> None:
        while True:
            uid = await self._queue.get()
            self._queued.discard(uid)
            entry = self._entries.get(uid)
            if entry is None:
                continue
            if entry.sending:  # by another sender: statuses of one pod go one after the other
                entry.again = True
                continue
            entry.sending = True
            try:
                await self._send(uid, entry)
                entry.retry = None
                self._sent.set()
            except (StatusError, ConnectionError, TimeoutError) as error:
                self._retry_later(uid, entry, error)
            entry.sending = False
            if entry.again:
                entry.again = False
                self._enqueue(uid)

    async def _send(self, uid: str, entry: _Entry) -> None:
        sent = entry.latest
        patch = status_patch(entry.stored, sent) if sent is not None else None
        if sent is not None and patch is not None:
            try:
                answer = await self._rest.patch(
                    Pod,
                    entry.pod.name,
                    entry.pod.namespace,
                    {"metadata": {"uid": entry.pod.metadata.uid}, "status": patch},
                    content_type=STRATEGIC_MERGE_PATCH,
                    subresource="status",
                )
            except (NotFound, Conflict) as error:
                log.debug("status of a pod that is gone", pod=entry.pod.key, error=str(error))
                return
            if _revision(answer) > entry.revision:
                entry.stored, entry.revision = answer.status, _revision(answer)
            log.debug("status sent", pod=entry.pod.key, phase=sent.phase)
            if entry.latest is not sent:
                self._enqueue(uid)
                return
        if entry.finished and entry.pod.metadata.deletionTimestamp and not entry.deleted:
            await self._delete(entry)

    async def _delete(self, entry: _Entry) -> None:
        """Ends the graceful deletion; finalizers of others may still hold the object."""
        try:
            uid = entry.pod.metadata.uid or ""
            await self._rest.delete(Pod, entry.pod.name, entry.pod.namespace, grace_period_seconds=0, uid=uid)
            log.info("pod deleted", pod=entry.pod.key)
        except (NotFound, Conflict):
            log.debug("pod was gone already", pod=entry.pod.key)
        entry.deleted = True

    def _retry_later(self, uid: str, entry: _Entry, error: Exception) -> None:
        if entry.retry is None:
            entry.retry = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
            log.warning("status not sent, will retry", pod=entry.pod.key, error=str(error))
        assert self._tasks is not None
        self._tasks.create_task(self._enqueue_after(uid, entry.retry.next_seconds()))

    async def _enqueue_after(self, uid: str, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._enqueue(uid)


def _revision(pod: Pod) -> int:
    """Revisions of one object only grow; one that is not a number (another API server's) counts as new."""
    text = pod.metadata.resourceVersion or ""
    return int(text) if text.isdigit() else 0
