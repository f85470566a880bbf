"""Disruption: keeps in each PodDisruptionBudget how many of its pods may be evicted now."""

from __future__ import annotations

from collections.abc import Iterable

from apimachinery.columns import selector_text
from apimachinery.meta import OwnerReference, controller_of
from apimachinery.selectors import selector_of
from controller_manager.controllers.workloads._budgetstatus import compute, failed, needs_scale
from controller_manager.podstate import counts_changed
from controller_manager.writes import write_status
from kubeapi.apps.deployment import Deployment
from kubeapi.apps.replicaset import ReplicaSet
from kubeapi.apps.statefulset import StatefulSet
from kubeapi.core.pod.model import Pod
from kubeapi.core.replicationcontroller import ReplicationController
from kubeapi.policy.poddisruptionbudget import PodDisruptionBudget
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, after, latest, own
from kubeclient.informer import Informer

_UNMANAGED = (
    'Pods selected by this PodDisruptionBudget (selector: "{}") were found to be unmanaged. As a result, the status of '
    "the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please "
    'set ".spec.minAvailable" field of the PDB to an integer value.'
)


class UnknownScale(Exception):
    """Pods have a controller that does not tell how many it wants."""


class DisruptionReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder, self._clock = context.rest, context.recorder, context.clock
        self._budgets = context.informers.of(PodDisruptionBudget)
        self._pods = context.informers.of(Pod)
        self._deployments = context.informers.of(Deployment)
        self._owners: dict[str, Informer[ReplicaSet] | Informer[StatefulSet] | Informer[ReplicationController]] = {
            "ReplicaSet": context.informers.of(ReplicaSet),
            "StatefulSet": context.informers.of(StatefulSet),
            "ReplicationController": context.informers.of(ReplicationController),
        }

    def covering(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        """Wakes the budgets that select a pod that has changed."""
        if not counts_changed(old, new):
            return
        pod = latest(old, new)
        for budget in self._budgets.list(pod.namespace):
            selector = selector_of(budget.spec.selector)
            if budget.spec.selector is not None and any(
                each is not None and selector.matches(each.labels) for each in (old, new)
            ):
                yield budget.key

    async def reconcile(self, key: str) -> Result:
        budget = self._budgets.get(key)
        if budget is None or budget.metadata.deletionTimestamp is not None:
            return DONE
        now, pods = self._clock.now(), self._selected(budget)
        if not pods:
            self._recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        wanted = 0
        if needs_scale(budget):
            try:
                wanted = self._wanted(budget, pods)
            except UnknownScale as error:
                text = f"Failed to calculate the number of expected pods: {error}"
                self._recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", text)
                await write_status(self._rest, budget, failed(budget, str(error), now))
                return DONE
        outcome = compute(budget, pods, wanted, now)
        for pod in outcome.not_deleted:
            text = f"Pod was expected by PDB {budget.key} to be deleted but it wasn't"
            self._recorder.event(pod, "Warning", "NotDeleted", text)
        await write_status(self._rest, budget, outcome.status)
        return after(outcome.wait_seconds) if outcome.wait_seconds else DONE

    def _selected(self, budget: PodDisruptionBudget) -> list[Pod]:
        if budget.spec.selector is None:
            return []
        selector = selector_of(budget.spec.selector)
        return [pod for pod in self._pods.list(budget.namespace) if selector.matches(pod.labels)]

    def _wanted(self, budget: PodDisruptionBudget, pods: Iterable[Pod]) -> int:
        """Sums the pods that the controllers of these pods want. Raises: UnknownScale."""
        scales: dict[str, int] = {}
        unmanaged = False
        for pod in pods:
            ref = controller_of(pod)
            if ref is None:
                unmanaged = True
            else:
                uid, scale = self._scale(pod.namespace, ref)
                scales[uid] = scale
        if unmanaged:
            text = _UNMANAGED.format(selector_text(budget.spec.selector))
            self._recorder.event(budget, "Warning", "UnmanagedPods", text)
        return sum(scales.values())

    def _scale(self, namespace: str, ref: OwnerReference) -> tuple[str, int]:
        """Returns the uid of what decides about the number, and the number. Raises: UnknownScale."""
        informer = self._owners.get(ref.kind)
        if informer is None:
            group = ref.apiVersion.rpartition("/")[0]
            raise UnknownScale(f"{ref.kind.lower()}s.{group} does not implement the scale subresource")
        found = informer.get(f"{namespace}/{ref.name}")
        if found is None or found.metadata.uid != ref.uid:
            return ref.uid, 0
        above = controller_of(found)
        if above is not None and above.kind == "Deployment":
            deployment = self._deployments.get(f"{namespace}/{above.name}")
            if deployment is not None and deployment.metadata.uid == above.uid:
                return above.uid, deployment.spec.replicas
        return ref.uid, found.spec.replicas or 0


CONTROLLER = ControllerSpec(
    "disruption-controller",
    DisruptionReconciler,
    [own(PodDisruptionBudget), Watch(Pod, DisruptionReconciler.covering)],
    event_source="controllermanager",
)
