"""Runs the loop: takes a pod from the queue, chooses a node, assumes it there, and hands the rest to the binder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from apimachinery.meta import Object
from componentbase import logs
from componentbase.clock import Clock
from kubeapi.core.pod.lifecycle import is_terminal
from kubeclient.informer import Informer, Informers
from kubeclient.recorder import EventRecorder
from scheduler import events, metrics
from scheduler.configuration.load import Configuration, default_configuration
from scheduler.core.binder import Binder
from scheduler.core.profiles import Profiles
from scheduler.core.queue import QueuedPod, SchedulingQueue
from scheduler.core.status import SCHEDULER_ERROR, UNSCHEDULABLE, StatusWriter
from scheduler.events import ASSIGNED_POD, Change, ClusterEvent
from scheduler.framework import Cycle, Handle, PluginError, Unfit, pod_fields, unfit_node
from scheduler.state.cache import SchedulerCache
from scheduler.state.podinfo import pod_id
from scheduler.state.shape import Shapes
from scheduler.state.waiting import Refusal
from scheduler.views.node import Node
from scheduler.views.pod import Pod, pod_view

UNFINISHED_PODS = "status.phase!=Succeeded,status.phase!=Failed"
NO_NODE = ""
"""Takes a promise back."""
PODS_PER_TURN = 8  # scheduled in a row before others get the event loop: watches, bindings

T = TypeVar("T", bound=Object)

log = logs.logger(__name__)


class InformerLister:
    """Is the `Lister` of plugins, over informers."""

    def __init__(self, informers: Informers) -> None:
        self._informers = informers

    def get(self, model: type[T], key: str) -> T | None:
        return self._informers.of(model).get(key)

    def list(self, model: type[T], namespace: str = "") -> list[T]:
        return self._informers.of(model).list(namespace)

    def version(self, model: type[Object]) -> str:
        return self._informers.of(model).resource_version


class Scheduler:
    """Watches from the moment it is made; schedules while `run` does, which is while it leads."""

    def __init__(
        self,
        informers: Informers,
        recorders: Mapping[str, EventRecorder],
        clock: Clock,
        configuration: Configuration | None = None,
    ) -> None:
        """`recorders` are those of each profile, by its name. Raises: ValueError for plugins that can't work."""
        self._clock = clock
        configuration = configuration or default_configuration()
        fields = pod_fields(spec for profile in configuration.profiles for spec in profile.specs)
        self.cache = SchedulerCache(Shapes(fields))
        lister = InformerLister(informers)
        handle = Handle(
            self.cache,
            lister,
            informers.rest,
            activate=lambda uid: self.queue.activate(uid),
            happened=lambda event: self.queue.happened(event),
        )
        self.profiles = Profiles(configuration.profiles, recorders, handle)
        self.queue = SchedulingQueue(
            self.profiles,
            self.cache.shapes,
            clock,
            first_backoff_seconds=configuration.first_backoff_seconds,
            max_backoff_seconds=configuration.max_backoff_seconds,
        )
        self._waiting, self._nominations = handle.waiting, self.cache.nominations
        self._status = StatusWriter(informers.rest, clock)
        self._binder = Binder(self.profiles.framework_of, self._status.settled, self._bound, self._not_bound)
        self._pods = informers.of(pod_view(fields), field_selector=UNFINISHED_PODS)
        self._pods.add_handler(self._on_pod)
        nodes: Informer[Node] = informers.of(Node)
        nodes.add_handler(self._on_node)
        self._informers: list[Informer[Any]] = [self._pods, nodes]
        for model in self.profiles.reads():
            informer = informers.of(model)
            informer.add_handler(self._on_other(model.__name__))
            self._informers.append(informer)
        metrics.watch_queue(self.queue.counts)
        for profile in configuration.profiles:
            log.info("plugins", profile=profile.name, names=" ".join(spec.name for spec in profile.specs))

    def check(self) -> str:
        """Returns "" once all caches are complete; else which are not."""
        return " ".join(item.resource.plural for item in self._informers if not item.synced)

    def find(self, key: str) -> Pod | None:
        """Returns a pod of any scheduler, "namespace/name", unless it has ended."""
        return self._pods.get(key)

    async def run(self) -> None:
        """Schedules until cancelled; the informers have listed by now."""
        await self.profiles.prepare()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._status.run())
                tasks.create_task(self._binder.run())
                for plugin in self.profiles.background():
                    tasks.create_task(plugin.run())
                tasks.create_task(self._schedule())
        finally:
            self._waiting.close()

    async def _schedule(self) -> None:
        taken = 0
        while True:
            queued = self.queue.pop_nowait() or await self.queue.pop()
            await self._binder.room()
            if self.profiles.framework_of(queued.pod).consults:
                await self._consult(queued)
            else:
                await self._attempt(queued, {})
            taken += 1
            if taken % PODS_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _consult(self, queued: QueuedPod) -> None:
        """Asks plugins' consultants about the nodes that would do, then attempts with what they said."""
        profile, cycle = self.profiles.of(queued.pod), Cycle(queued.pod, queued.shape)
        try:
            outcome = profile.placement.choose(cycle)
            nodes = [] if isinstance(outcome, Unfit) else [self.cache.table.names[row] for row in outcome.rows]
            advice = Cycle(queued.pod, queued.shape)
            for plugin in profile.framework.consults if nodes else ():
                rejected = await plugin.consult(advice, nodes)
                if rejected is not None:
                    self._failed(queued, rejected.reason, SCHEDULER_ERROR)
                    return
        except Exception as error:  # as in an attempt
            log.exception("consultation failed", error, pod=queued.pod.key)
            self._failed(queued, f"consultation failed: {error}", SCHEDULER_ERROR)
            return
        if not nodes or self._refresh(queued):
            await self._attempt(queued, advice.state)

    async def _attempt(self, queued: QueuedPod, advice: dict[str, Any]) -> None:
        """`advice` is what plugins were told about the pod beforehand, by their names."""
        pod = queued.pod
        profile = self.profiles.of(pod)
        if pod.metadata.deletionTimestamp is not None:
            profile.recorder.event(
                pod, "Warning", "FailedScheduling", f"skip schedule deleting pod: {pod.key}", action="Scheduling"
            )
            return
        if self.cache.get(queued.uid) is not None:
            return  # on its node already, as a binding that seemed to have failed
        started, weighed = time.perf_counter(), self.queue.events
        cycle = Cycle(pod, queued.shape)
        cycle.state.update(advice)
        try:
            outcome = profile.placement.choose(cycle)
            result = await profile.framework.run_post_filter(cycle, outcome) if isinstance(outcome, Unfit) else None
        except Exception as error:  # a plugin's fault with one pod must not keep all others waiting
            if not isinstance(error, PluginError):
                log.exception("scheduling failed", error, pod=pod.key)
            metrics.attempted(metrics.ERROR, started)
            self._failed(queued, f"scheduling failed: {error}", SCHEDULER_ERROR)
            return
        if isinstance(outcome, Unfit):
            assert result is not None
            metrics.attempted(metrics.UNSCHEDULABLE, started)
            if not cycle.reviewers or self._refresh(queued):
                self._refused(queued, Unfit(result.message, outcome.plugins), result.nominated, weighed)
            return
        refused = self._place(queued, cycle, outcome.node)
        if refused is not None:
            self._refused(queued, refused, NO_NODE)
        metrics.attempted(metrics.UNSCHEDULABLE if refused else metrics.SCHEDULED, started)

    def _place(self, queued: QueuedPod, cycle: Cycle, node: str) -> Unfit | None:
        """Assumes the pod on the node, and has it bound unless Reserve or Permit refuses it or lets it wait."""
        framework = self.profiles.framework_of(queued.pod)
        self.cache.assume(queued.pod, queued.shape, node, cycle.storage)
        refused = framework.run_reserve(cycle, node)
        waits = refused or framework.run_permit(cycle, node)
        if isinstance(waits, Unfit):
            self.cache.forget(queued.uid)
            return waits
        self._nominations.remove(queued.uid)
        self._status.placed(queued.pod, expected=node if waits or framework.is_slow(cycle) else "")
        if waits:
            self._waiting.add(queued.pod, node, waits, partial(self._permitted, queued, cycle, node))
        else:
            self._binder.submit(queued, cycle, node)
        return None

    def _permitted(self, queued: QueuedPod, cycle: Cycle, node: str, refusal: Refusal | None) -> None:
        if refusal is None:
            self._binder.submit(queued, cycle, node)
            return
        self.profiles.framework_of(queued.pod).run_unreserve(cycle, node)
        self.cache.forget(queued.uid)
        if self._refresh(queued):
            self._refused(queued, unfit_node(refusal.plugin, refusal.reason), NO_NODE)
        self.queue.happened(ClusterEvent(ASSIGNED_POD, Change.DELETE, queued.pod, None))

    def _refused(
        self, queued: QueuedPod, unfit: Unfit, nominated: str | None = None, weighed: int | None = None
    ) -> None:
        """Lets a pod wait for an event that helps; `nominated` is the node that it is promised meanwhile.

        `weighed` is how many events there had been when its attempt began.
        """
        if nominated is not None:
            self._nominations.put(queued.pod, nominated)
        self.queue.refused(queued, unfit.plugins, weighed)
        self._tell(queued.pod, unfit.message, UNSCHEDULABLE, nominated)

    def _failed(self, queued: QueuedPod, message: str, reason: str) -> None:
        """Queues a pod to be tried again later, without a promise, unless it is gone or has a node by now."""
        if self._refresh(queued):
            self._nominations.remove(queued.uid)
            self.queue.failed(queued)
            self._tell(queued.pod, message, reason, NO_NODE)

    def _refresh(self, queued: QueuedPod) -> bool:
        """Takes in what became of the pod while it was not queued; False if it is gone or has a node by now."""
        current = self._pods.get(queued.pod.key)
        if current is None or pod_id(current) != queued.uid or current.spec.nodeName:
            return False
        queued.pod, queued.shape = current, self.cache.shapes.of(current)
        return True

    def _tell(self, pod: Pod, message: str, reason: str, nominated: str | None = None) -> None:
        log.debug("pod not scheduled", pod=pod.key, message=message)
        self.profiles.of(pod).recorder.event(pod, "Warning", "FailedScheduling", message, action="Scheduling")
        self._status.not_scheduled(pod, reason, message, nominated)

    # the binder's answers

    def _bound(self, queued: QueuedPod, node: str) -> None:
        pod = queued.pod
        message = f"Successfully assigned {pod.key} to {node}"
        self.profiles.of(pod).recorder.event(pod, "Normal", "Scheduled", message, action="Binding")
        metrics.POD_SECONDS.observe(self._clock.monotonic() - queued.added_at)
        log.debug("pod bound", pod=pod.key, node=node)

    def _not_bound(self, queued: QueuedPod, cycle: Cycle, node: str, why: str) -> None:
        self.profiles.framework_of(queued.pod).run_unreserve(cycle, node)
        self.cache.forget(queued.uid)
        log.warning("pod could not be bound", pod=queued.pod.key, node=node, error=why)
        self._failed(queued, f"binding rejected: {why}", SCHEDULER_ERROR)
        self.queue.happened(ClusterEvent(ASSIGNED_POD, Change.DELETE, queued.pod, None))

    # what the informers see

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        if new is not None and is_terminal(new.status.phase):
            old, new = old or new, None
        if new is None:
            if old is not None:
                self._pod_gone(old)
        elif new.spec.nodeName:
            self._pod_assigned(old, new)
        elif new.spec.schedulerName in self.profiles:
            if self.cache.get(pod_id(new)) is None:
                self._nominations.observe(old, new)
            if old is None:
                self.queue.add(new)
            else:
                self.queue.update(old, new)

    def _pod_gone(self, pod: Pod) -> None:
        self.queue.delete(pod_id(pod))
        self._nominations.remove(pod_id(pod))
        self._waiting.reject(pod_id(pod), "", "pod deleted")
        cached = self.cache.get(pod_id(pod))
        if cached is not None:
            self.cache.remove_pod(pod)
            self.queue.happened(ClusterEvent(ASSIGNED_POD, Change.DELETE, pod, None))

    def _pod_assigned(self, old: Pod | None, new: Pod) -> None:
        if old is None or not old.spec.nodeName:
            self.queue.delete(pod_id(new))
            self._nominations.remove(pod_id(new))
            self.cache.put_pod(new)
            self.queue.happened(ClusterEvent(ASSIGNED_POD, Change.ADD, old, new))
            return
        change = events.pod_change(old, new)
        if change:
            self.cache.put_pod(new)
            self.queue.happened(ClusterEvent(ASSIGNED_POD, change, old, new))
        else:
            self.cache.renew_pod(new)

    def _on_node(self, old: Node | None, new: Node | None) -> None:
        event = events.node_event(old, new)
        if not event.change:
            return
        if new is not None:
            self.cache.put_node(new)
        elif old is not None:
            self.cache.remove_node(old.name)
        self.queue.happened(event)

    def _on_other(self, kind: str) -> Callable[[Object | None, Object | None], None]:
        def handler(old: Object | None, new: Object | None) -> None:
            event = events.other_event(kind, old, new)
            self.profiles.observe(event)
            self.queue.happened(event)

        return handler
