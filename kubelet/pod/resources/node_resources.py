"""Admits pods to this node, grants them its resources while they run, and carries that out on their containers."""

from __future__ import annotations

from dataclasses import dataclass

from apimachinery.quantity import byte_count
from componentbase import logs
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container, ResourceRequirements
from kubelet.cgroups.manager import PodGroups
from kubelet.container.downward import NodeView
from kubelet.container.events import Events
from kubelet.container.limits import container_resources
from kubelet.container.spec import find_container
from kubelet.dra.claims import ClaimsError
from kubelet.pod import allocation as resize
from kubelet.pod.resources.admission import admit, resize_refusal
from kubelet.pod.resources.hardware import Hardware
from kubelet.pod.resources.pod_security import NodePolicy, security_refusal
from kubelet.pod.status.compute import Failure
from kubelet.pod.table import PodTable
from kubelet.pod.work import PodWork, SyncFailed
from kubelet.runtime.interface import EngineError, PodRuntimeStatus, Runtime, RuntimeUnavailable

RETRY_SECONDS = 5.0
"""After a node without room, or a container that uses more memory than it shall have: both end without an event."""

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class NodeResources:
    """Divides the node among the pods of `table`."""

    runtime: Runtime
    events: Events
    node: NodeView
    table: PodTable
    hardware: Hardware
    groups: PodGroups
    policy: NodePolicy

    async def admit(self, work: PodWork, *, runs_already: bool) -> Failure | None:
        """Takes the pod in, or says why the node does not. A pod that runs here already was admitted before.

        Raises: Stopping.
        """
        if work.admitted or runs_already:
            work.admitted = True
            return None
        work.allocation = resize.recalled_allocation(work.asked)
        failure = self.table.refusal or security_refusal(work.pod, self.policy)
        failure = failure or admit(work.pod, self.table.admitted(), self.node.current())
        if failure is None and self.hardware.concerns(work.pod):
            work.admitted = True  # the pod holds its share while the plugins are asked
            try:
                failure = await work.unless_stopping(self.hardware.allocate(work.pod))
            finally:
                work.admitted = False
        work.admitted = failure is None
        return failure

    async def prepare_claims(self, work: PodWork) -> None:
        """Raises: SyncFailed; Stopping."""
        try:
            await work.unless_stopping(self.hardware.prepare(work.pod))
        except ClaimsError as error:
            message = f"Failed to prepare dynamic resources: {error}"
            self.events.event(work.pod, "Warning", "FailedPrepareDynamicResources", message)
            raise SyncFailed(message) from None

    async def give_claims_back(self, work: PodWork) -> None:
        """Raises: SyncFailed."""
        try:
            await self.hardware.unprepare(work.uid)
        except ClaimsError as error:
            raise SyncFailed(str(error)) from None

    def grant(self, work: PodWork) -> float | None:
        """Grants the pod what it asks for, where the node has it; else the seconds after which to ask again."""
        pod, allocation = work.asked, work.allocation
        if resize.is_granted(pod, allocation.granted):
            allocation.refusal = None
            return None
        refusal = resize_refusal(pod, self.table.admitted(), self.node.current())
        if refusal is None:
            allocation.granted, allocation.generation = resize.desired(pod), pod.metadata.generation
            allocation.refusal, allocation.error, allocation.in_progress = None, "", True
            self._record(pod, "Normal", "ResizeStarted", "started", allocation.generation)
            return None
        if refusal != allocation.refusal:
            allocation.refusal = refusal
            reason = refusal.reason
            self._record(pod, "Warning", f"Resize{reason}", reason, refusal.generation, refusal.message)
        return RETRY_SECONDS if refusal.reason == resize.DEFERRED else None

    async def update(self, work: PodWork, name: str, container_id: str) -> float | None:
        """Gives a running container what it was granted; the seconds after which to try again what failed.

        Raises: RuntimeUnavailable.
        """
        pod, allocation = work.pod, work.allocation
        container = find_container(pod, name)
        if container is None:
            return None
        limits = container_resources(pod, container, self.node.memory_bytes)
        limits = self.hardware.with_cpus(work.uid, name, limits)
        before = allocation.actuated.get(container_id)
        try:
            await self._check_usage(container, container_id, before, limits.memory_limit_bytes)
            await self.runtime.update_container(container_id, limits)
        except RuntimeUnavailable:
            raise
        except EngineError as error:
            if allocation.error != str(error):
                allocation.error = str(error)
                self._record(pod, "Warning", "ResizeError", "error", allocation.generation, allocation.error)
            return RETRY_SECONDS
        allocation.actuated[container_id] = container.resources
        log.info("container resized", pod=pod.key, container=name)
        return None

    async def _check_usage(
        self, container: Container, container_id: str, before: ResourceRequirements | None, limit: int
    ) -> None:
        """A limit below what is used now would have the kernel kill the container. Raises: EngineError."""
        old = byte_count((before.limits or {}).get("memory", "0")) if before is not None else 0
        if not limit or (old and limit >= old):
            return
        for stats in await self.runtime.stats([container_id]):
            used = stats.memory_working_set_bytes
            if used > limit:
                what = f'attempting to set container "{container.name}" memory limit ({limit})'
                raise EngineError(f"cannot decrease memory limits: {what} below current usage ({used})")

    async def fit_group(self, work: PodWork) -> None:
        """Gives the pod as a whole what it was granted, and while its containers follow not less than they had.

        Raises: SyncFailed.
        """
        try:
            await self.groups.fit(work.pod, resizing=work.allocation.in_progress)
        except OSError as error:
            raise SyncFailed(f"the pod's control group was not updated: {error}") from None

    async def settle(self, work: PodWork, status: PodRuntimeStatus | None) -> None:
        """Ends the resize once everything runs with what was granted, the pod as a whole at the last.

        Raises: SyncFailed.
        """
        allocation = work.allocation
        if allocation.in_progress and resize.is_carried_out(work.asked, status, allocation):
            try:
                await self.groups.fit(work.pod, resizing=False)
            except OSError as error:
                if allocation.error != str(error):
                    allocation.error = str(error)
                    self._record(work.pod, "Warning", "ResizeError", "error", allocation.generation, allocation.error)
                raise SyncFailed(str(error)) from None
            allocation.in_progress, allocation.error = False, ""
            self._record(work.pod, "Normal", "ResizeCompleted", "completed", allocation.generation)

    def _record(self, pod: Pod, type: str, reason: str, what: str, generation: int | None, error: str = "") -> None:
        self.events.event(pod, type, reason, resize.event_message(what, pod, generation, error))
