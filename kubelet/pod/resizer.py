"""Grants pods what they ask for while they run, and carries it out on their containers."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from apimachinery.quantity import byte_count
from componentbase import logs
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container, ResourceRequirements
from kubelet.container.events import Events
from kubelet.container.limits import container_resources
from kubelet.container.spec import find_container
from kubelet.pod import allocation as resize
from kubelet.pod.admission import resize_refusal
from kubelet.pod.work import PodWork
from kubelet.runtime.interface import EngineError, PodRuntimeStatus, Runtime, RuntimeUnavailable

RETRY_SECONDS = 5.0
"""After a node without room, or a container that uses more memory than it shall have: both end without an event."""

log = logs.logger(__name__)


class Resizer:
    def __init__(
        self,
        runtime: Runtime,
        events: Events,
        node: Callable[[], Node],
        pods: Callable[[], Iterable[Pod]],
        memory_bytes: int,
    ) -> None:
        """`pods` are those this node has admitted, `memory_bytes` is what the machine has."""
        self._runtime = runtime
        self._events = events
        self._node = node
        self._pods = pods
        self._memory_bytes = memory_bytes

    def allocate(self, work: PodWork) -> float | None:
        """Grants the pod what it asks for, where the node has it; else the seconds after which to ask again."""
        pod, allocation = work.pod, work.allocation
        if resize.is_granted(pod, allocation.granted):
            allocation.refusal = None
            return None
        refusal = resize_refusal(pod, self._pods(), self._node())
        if refusal is None:
            allocation.granted, allocation.generation = resize.desired(pod), pod.metadata.generation
            allocation.refusal, allocation.error, allocation.in_progress = None, "", True
            self._tell(pod, "Normal", "ResizeStarted", "started", allocation.generation)
            return None
        if refusal != allocation.refusal:
            allocation.refusal = refusal
            reason = refusal.reason
            self._tell(pod, "Warning", f"Resize{reason}", reason, refusal.generation, refusal.message)
        return RETRY_SECONDS if refusal.reason == resize.DEFERRED else None

    async def update(self, work: PodWork, name: str, container_id: str) -> float | None:
        """Gives a running container what it was granted; the seconds after which to try again what failed.

        Raises: RuntimeUnavailable.
        """
        pod, allocation = work.allocated(), work.allocation
        container = find_container(pod, name)
        if container is None:
            return None
        wanted = container_resources(pod, container, self._memory_bytes)
        before = allocation.actuated.get(container_id)
        try:
            await self._check_usage(container, container_id, before, wanted.memory_limit_bytes)
            await self._runtime.update_container(container_id, wanted)
        except RuntimeUnavailable:
            raise
        except EngineError as error:
            if allocation.error != str(error):
                allocation.error = str(error)
                self._tell(pod, "Warning", "ResizeError", "error", allocation.generation, allocation.error)
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
        for stats in await self._runtime.stats([container_id]):
            used = stats.memory_working_set_bytes
            if used > limit:
                what = f'attempting to set container "{container.name}" memory limit ({limit})'
                raise EngineError(f"cannot decrease memory limits: {what} below current usage ({used})")

    def settle(self, work: PodWork, status: PodRuntimeStatus | None) -> None:
        """Ends the resize once nothing runs with anything else than was granted."""
        allocation = work.allocation
        if allocation.in_progress and resize.is_carried_out(work.pod, status, allocation):
            allocation.in_progress, allocation.error = False, ""
            self._tell(work.allocated(), "Normal", "ResizeCompleted", "completed", allocation.generation)

    def _tell(self, pod: Pod, type: str, reason: str, what: str, generation: int | None, error: str = "") -> None:
        self._events.event(pod, type, reason, resize.event_message(what, pod, generation, error))
