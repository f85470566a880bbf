"""DaemonSet: keeps one pod on each node that its template fits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from apimachinery.selectors import Selector, selector_of
from controller_manager.controllers.workloads._history import HASH_LABEL, HashCollision, forget_old, keep_current
from controller_manager.controllers.workloads.daemonset._placement import (
    GENERATION_LABEL,
    Placement,
    bound_to,
    by_node,
    fitting,
    plan_placement,
    target_node,
)
from controller_manager.controllers.workloads.daemonset._rollout import count, plan_rollout
from controller_manager.ownership import candidates, claim, index_by_owner, owners_of_change
from controller_manager.podcontrol import PodControl, pod_of
from controller_manager.podstate import counts_changed
from controller_manager.writes import write_status
from kubeapi.apps.controllerrevision import ControllerRevision
from kubeapi.apps.daemonset import DaemonSet, template_generation
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, after, own, owner

KIND = "DaemonSet"
BURST_REPLICAS = 250
"""The most pods to create or delete in one reconcile; the rest follows when the cache has caught up."""
UNSETTLED_SECONDS = 1.0
FIRST_BACKOFF_SECONDS, MOST_BACKOFF_SECONDS = 1.0, 900.0
"""How long a node waits for the deletion of another pod that has ended."""


class _Backoff(NamedTuple):
    seconds: float
    since: float


class DaemonSetReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder, self._clock = context.rest, context.recorder, context.clock
        self._daemon_sets = context.informers.of(DaemonSet)
        self._pods = context.informers.of(Pod)
        self._nodes = context.informers.of(Node)
        self._revisions = context.informers.of(ControllerRevision)
        index_by_owner(self._pods)
        index_by_owner(self._revisions)
        self._pod_control = PodControl(context, KIND, self._pods)
        self._backoffs: dict[str, dict[str, _Backoff]] = {}
        """By DaemonSet and node."""

    def concerned_by(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        """Notes what was expected, and wakes the pod's DaemonSet, or those that may adopt it."""
        self._pod_control.note(old, new)
        if counts_changed(old, new) or old is None or new is None or old.spec != new.spec:
            yield from owners_of_change(old, new, KIND, self._daemon_sets, _selector)

    def fitting(self, old: Node | None, new: Node | None) -> Iterable[str]:
        """Wakes the DaemonSets for which a node has come, gone or changed."""
        if old is not None and new is not None and old.labels == new.labels and old.spec == new.spec:
            return
        for daemon_set in self._daemon_sets.list():
            fit = fitting(daemon_set.spec.template.spec)
            before, now = (fit(node) if node is not None else None for node in (old, new))
            if before != now:
                yield daemon_set.key

    async def reconcile(self, key: str) -> Result:
        daemon_set = self._daemon_sets.get(key)
        if daemon_set is None:
            self._pod_control.forget(key)
            self._backoffs.pop(key, None)
            return DONE
        if daemon_set.metadata.deletionTimestamp is not None:
            return DONE  # the garbage collector removes the pods
        if not self._pod_control.settled(key):
            return after(UNSETTLED_SECONDS)
        selector = _selector(daemon_set)
        pods = await claim(self._rest, daemon_set, selector, candidates(self._pods, daemon_set))
        revisions = await claim(self._rest, daemon_set, selector, candidates(self._revisions, daemon_set))
        template, collisions = daemon_set.spec.template, daemon_set.status.collisionCount
        try:
            current, old = await keep_current(self._rest, daemon_set, template, revisions, collisions)
        except HashCollision:
            await self._count_collision(daemon_set)
            return after(UNSETTLED_SECONDS)
        digest, nodes, groups = current.labels.get(HASH_LABEL, ""), self._nodes.list(), by_node(pods)
        now = self._clock.now()
        plan = plan_placement(daemon_set, nodes, groups, digest, now)
        wait = self._take_ended(daemon_set, plan)
        if not plan.create and not plan.delete:
            plan = plan_rollout(daemon_set, nodes, groups, digest, now)
        if plan.create or plan.delete:
            errors = await self._perform(daemon_set, plan, digest)
            if not errors:
                return after(UNSETTLED_SECONDS)
            await write_status(self._rest, daemon_set, count(daemon_set, nodes, groups, digest, now).status)
            raise errors[0]
        live = {f"{daemon_set.name}-{pod.labels.get(HASH_LABEL)}" for pod in pods}
        await forget_old(self._rest, old, live, daemon_set.spec.revisionHistoryLimit)
        counted = count(daemon_set, nodes, groups, digest, now)
        await write_status(self._rest, daemon_set, counted.status)
        waits = [seconds for seconds in (wait, counted.next_available_seconds) if seconds]
        return after(min(waits)) if waits else DONE

    def _take_ended(self, daemon_set: DaemonSet, plan: Placement) -> float:
        """Adds to the plan the ended pods whose nodes have waited long enough; returns the seconds until the next."""
        backoffs = self._backoffs.setdefault(daemon_set.key, {})
        now, wait = self._clock.monotonic(), 0.0
        for pod in plan.ended:
            node = target_node(pod)
            backoff = backoffs.get(node, _Backoff(0.0, now))
            left = backoff.since + backoff.seconds - now
            if left > 0:
                wait = min(wait, left) if wait else left
                continue
            longer = min(max(backoff.seconds * 2, FIRST_BACKOFF_SECONDS), MOST_BACKOFF_SECONDS)
            backoffs[node] = _Backoff(longer, now)
            where = f"daemon pod {pod.key} on node {node}"
            if pod.status.phase == "Failed":
                text = f"Found failed {where}, will try to kill it"
                self._recorder.event(daemon_set, "Warning", "FailedDaemonPod", text)
            else:
                text = f"Found succeeded {where}, will try to delete it"
                self._recorder.event(daemon_set, "Normal", "SucceededDaemonPod", text)
            plan.delete.append(pod)
        for node, backoff in list(backoffs.items()):
            if now > backoff.since + 2 * MOST_BACKOFF_SECONDS:
                del backoffs[node]
        return wait

    async def _perform(self, daemon_set: DaemonSet, plan: Placement, digest: str) -> list[Exception]:
        template = daemon_set.spec.template
        labels = {GENERATION_LABEL: str(template_generation(daemon_set)), HASH_LABEL: digest}
        create = []
        for node in plan.create[:BURST_REPLICAS]:
            pod = pod_of(daemon_set, template, labels.items())
            pod.spec = bound_to(template.spec, node)
            create.append(pod)
        return await self._pod_control.apply(daemon_set, create=create, delete=plan.delete[:BURST_REPLICAS])

    async def _count_collision(self, daemon_set: DaemonSet) -> None:
        status = daemon_set.status.clone()
        status.collisionCount = (status.collisionCount or 0) + 1
        await write_status(self._rest, daemon_set, status)


def _selector(daemon_set: DaemonSet) -> Selector:
    return selector_of(daemon_set.spec.selector)


CONTROLLER = ControllerSpec(
    "daemonset-controller",
    DaemonSetReconciler,
    [
        own(DaemonSet),
        owner(ControllerRevision, KIND),
        Watch(Pod, DaemonSetReconciler.concerned_by),
        Watch(Node, DaemonSetReconciler.fitting),
    ],
    workers_flag="--concurrent-daemonset-syncs",
    workers=2,
    subjects="DaemonSets",
    service_account="daemon-set-controller",
)
