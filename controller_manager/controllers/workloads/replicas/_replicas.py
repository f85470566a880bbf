"""Keeps as many pods as asked for, made from a template: what ReplicaSets and ReplicationControllers have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from apimachinery.meta import StatusCondition, controller_of
from apimachinery.selectors import Selector
from controller_manager.controllers.workloads._podranking import pods_to_delete
from controller_manager.controllers.workloads.replicas._status import ManageError, compute_status
from controller_manager.ownership import OWNER_INDEX, candidates, claim, index_by_owner, owners_of_change
from controller_manager.podcontrol import PodControl, pod_of
from controller_manager.podstate import counts_changed, is_active
from controller_manager.writes import write_status
from kubeapi.apps.replicaset import ReplicaSet
from kubeapi.core.pod.model import Pod
from kubeapi.core.replicationcontroller import ReplicationController
from kubeclient.controller import DONE, ControllerContext, Result, after

R = TypeVar("R", bound=ReplicaSet | ReplicationController)

BURST_REPLICAS = 500
"""The most pods to create or delete in one reconcile; the rest follows when the cache has caught up."""
UNSETTLED_SECONDS = 1.0
"""While the cache lacks what was just done, the status would count wrong; what it learns brings the key back."""


@dataclass(frozen=True, slots=True)
class ReplicasKind(Generic[R]):
    """The kind whose objects want pods."""

    name: str
    model: type[R]
    condition: type[StatusCondition]
    selector: Callable[[R], Selector]


class ReplicasReconciler(Generic[R]):
    def __init__(self, context: ControllerContext, kind: ReplicasKind[R]) -> None:
        self._kind = kind
        self._rest, self._clock = context.rest, context.clock
        self._replica_sets = context.informers.of(kind.model)
        self._pods = context.informers.of(Pod)
        index_by_owner(self._replica_sets)
        index_by_owner(self._pods)
        self._pod_control = PodControl(context, kind.name, self._pods)

    def concerned_by(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        """Notes what was expected, and wakes the pod's owner, or those that may adopt it."""
        self._pod_control.note(old, new)
        if counts_changed(old, new):
            yield from owners_of_change(old, new, self._kind.name, self._replica_sets, self._kind.selector)

    async def reconcile(self, key: str) -> Result:
        replica_set = self._replica_sets.get(key)
        if replica_set is None:
            self._pod_control.forget(key)
            return DONE
        if not self._pod_control.settled(key):
            return after(UNSETTLED_SECONDS)
        selector = self._kind.selector(replica_set)
        pods = await claim(self._rest, replica_set, selector, candidates(self._pods, replica_set))
        failure: ManageError | None = None
        error: Exception | None = None
        if replica_set.metadata.deletionTimestamp is None:
            active = [pod for pod in pods if is_active(pod)]
            surplus = len(active) - (replica_set.spec.replicas or 0)
            if surplus:
                errors = await self._correct(replica_set, active, surplus)
                if not errors:
                    return after(UNSETTLED_SECONDS)
                error, failure = errors[0], ManageError(str(errors[0]), creating=surplus < 0)
        outcome = compute_status(replica_set, pods, failure, self._kind.condition, self._clock.now())
        await write_status(self._rest, replica_set, outcome.status)
        if error is not None:
            raise error
        return after(outcome.next_available_seconds) if outcome.next_available_seconds else DONE

    async def _correct(self, replica_set: R, active: list[Pod], surplus: int) -> list[Exception]:
        count = min(abs(surplus), BURST_REPLICAS)
        if surplus < 0:
            template = replica_set.spec.template
            assert template is not None  # the API requires one
            create = [pod_of(replica_set, template) for _ in range(count)]
            return await self._pod_control.apply(replica_set, create=create)
        delete = pods_to_delete(active, self._related(replica_set), count, self._clock.now())
        return await self._pod_control.apply(replica_set, delete=delete)

    def _related(self, replica_set: R) -> list[Pod]:
        """Lists the active pods of all objects with the same owner (a Deployment), or of this one."""
        ref = controller_of(replica_set)
        family = self._replica_sets.by_index(OWNER_INDEX, ref.uid) if ref is not None else [replica_set]
        return [
            pod
            for member in family
            for pod in self._pods.by_index(OWNER_INDEX, member.metadata.uid or "")
            if is_active(pod)
        ]
