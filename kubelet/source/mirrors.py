"""Shows static pods in the API: each has a mirror there, which carries its status, and can't be changed.

Source: Kubernetes documentation, "Create static Pods".
"""

from __future__ import annotations

from typing import Literal

from apimachinery.errors import StatusError
from apimachinery.meta import OwnerReference
from componentbase import logs
from componentbase.clock import Clock
from componentbase.tasks import first_of
from kubeapi.core.node import Node
from kubeapi.core.pod.lifecycle import MIRROR_ANNOTATION
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.status import PodStatus
from kubeclient.backoff import Backoff
from kubeclient.rest import RestClient
from kubelet.container.downward import NodeView
from kubelet.pod.status.manager import StatusManager
from kubelet.pod.table import PodTable

FIRST_RETRY_SECONDS = 1.0
MOST_RETRY_SECONDS = 60.0

log = logs.logger(__name__)

Step = Literal["create", "delete", "keep"]


def mirror_step(static: Pod | None, mirror: Pod | None) -> Step:
    """Decides what has to happen in the API to a static pod that runs here (None: none), and to its mirror."""
    if mirror is None:
        return "keep" if static is None else "create"
    stale = static is None or mirror.annotations.get(MIRROR_ANNOTATION) != static.metadata.uid
    return "delete" if stale or mirror.metadata.deletionTimestamp else "keep"


def mirror_of(static: Pod, node: Node) -> Pod:
    """Makes the mirror to create: the pod itself, owned by its node, and marked with its uid.

    It has no finalizers: nobody but the file ends a static pod, and its mirror has to go with it.
    """
    mirror = static.clone()
    meta = mirror.metadata
    owner = OwnerReference(apiVersion="v1", kind="Node", name=node.name, uid=node.metadata.uid or "", controller=True)
    meta.annotations = {**(meta.annotations or {}), MIRROR_ANNOTATION: meta.uid or ""}
    meta.ownerReferences, meta.finalizers, meta.uid, meta.resourceVersion = [owner], None, None, None
    mirror.status = PodStatus()
    return mirror


class MirrorPods:
    """`observe` takes the mirrors that the API has; `run` brings them in line with the static pods of `table`."""

    def __init__(
        self, rest: RestClient, table: PodTable, statuses: StatusManager, node: NodeView, clock: Clock
    ) -> None:
        self._rest = rest
        self._table = table
        self._statuses = statuses
        self._node = node
        self._clock = clock
        self._mirrors: dict[str, Pod] = {}
        self._wake = table.follow()
        self._failures: dict[str, str] = {}

    def observe(self, old: Pod | None, new: Pod | None) -> None:
        """Takes a change of a pod that has the annotation of a mirror."""
        if new is not None:
            self._mirrors[new.key] = new
        elif old is not None:
            self._mirrors.pop(old.key, None)
            work = self._table.get(old.annotations[MIRROR_ANNOTATION])
            if work is not None and work.static:
                self._statuses.forget(work.uid)
        self._wake.set()

    async def run(self) -> None:
        """Runs until cancelled. Call it when the node is registered, and its pods are known."""
        retry = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
        while True:
            self._wake.clear()
            if await self._reconcile():
                retry.reset()
                await self._wake.wait()
            else:
                await first_of(self._wake.wait(), self._clock.sleep(retry.next_seconds()))

    async def _reconcile(self) -> bool:
        """Returns whether all could be done."""
        statics = {work.asked.key: work.asked for work in self._table.static()}
        done = True
        for key in sorted({*statics, *self._mirrors}):
            try:
                await self._carry_out(statics.get(key), self._mirrors.get(key))
                self._failures.pop(key, None)
            except (StatusError, ConnectionError, TimeoutError) as error:
                done = False
                if self._failures.get(key) != str(error):
                    log.warning("mirror pod not brought in line, will retry", pod=key, error=str(error))
                self._failures[key] = str(error)
        return done

    async def _carry_out(self, static: Pod | None, mirror: Pod | None) -> None:
        """Raises: StatusError; ConnectionError; TimeoutError."""
        step = mirror_step(static, mirror)
        if step == "create" and static is not None:
            created = await self._rest.create(mirror_of(static, self._node.current()))
            log.info("mirror pod created", pod=created.key)
            self._mirrors.setdefault(created.key, created)
            self._wake.set()
        elif step == "delete" and mirror is not None:
            uid = mirror.metadata.uid or ""
            await self._rest.delete(Pod, mirror.name, mirror.namespace, grace_period_seconds=0, uid=uid)
            log.info("mirror pod deleted", pod=mirror.key)
        elif static is not None and mirror is not None:
            self._statuses.observe(mirror, runs_as=static.metadata.uid or "")
            work = self._table.get(static.metadata.uid or "")
            if work is not None and work.reported:
                self._statuses.set(work.asked, work.asked.status)
