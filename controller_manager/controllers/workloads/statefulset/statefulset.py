"""StatefulSet: keeps numbered pods running, each with its name and its claims."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from apimachinery.errors import AlreadyExists, Conflict, NotFound, StatusError
from apimachinery.selectors import Selector, selector_of
from controller_manager.controllers.workloads._history import HashCollision, forget_old, keep_current, template_of
from controller_manager.controllers.workloads.statefulset._plan import Plan, Revision, count, make_plan
from controller_manager.controllers.workloads.statefulset._pods import (
    REVISION_LABEL,
    claim_names,
    is_stale,
    new_claims,
    ordinal_of,
    with_owners,
)
from controller_manager.ownership import (
    candidates,
    claim,
    delete_surely,
    in_parallel,
    index_by_owner,
    owners_of_change,
    slow_start,
)
from controller_manager.podstate import counts_changed
from controller_manager.writes import write_status
from kubeapi.apps.controllerrevision import ControllerRevision
from kubeapi.apps.statefulset import StatefulSet
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeapi.core.pod.model import Pod
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, after, own, owner

KIND = "StatefulSet"
HASH_LABEL = "controller.kubernetes.io/hash"
"""The label of revisions with the hash of their template."""
STALE_SECONDS = 1.0
"""How often to look whether a claim that goes with an earlier pod has gone."""


class StatefulSetReconciler:
    """Pods have names of their own, so that doing something twice, on a cache that is behind, does no harm."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder, self._clock = context.rest, context.recorder, context.clock
        self._sets = context.informers.of(StatefulSet)
        self._pods = context.informers.of(Pod)
        self._claims = context.informers.of(PersistentVolumeClaim)
        self._revisions = context.informers.of(ControllerRevision)
        index_by_owner(self._pods)
        index_by_owner(self._revisions)

    def concerned_by(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        """Wakes the pod's StatefulSet, or those that may adopt it."""
        if counts_changed(old, new):
            yield from owners_of_change(old, new, KIND, self._sets, _selector)

    async def reconcile(self, key: str) -> Result:
        stateful_set = self._sets.get(key)
        if stateful_set is None or stateful_set.metadata.deletionTimestamp is not None:
            return DONE  # the garbage collector removes the pods
        selector = _selector(stateful_set)
        members = [pod for pod in candidates(self._pods, stateful_set) if ordinal_of(stateful_set, pod) >= 0]
        pods = await claim(self._rest, stateful_set, selector, members)
        revisions = await claim(self._rest, stateful_set, selector, candidates(self._revisions, stateful_set))
        template, collisions = stateful_set.spec.template, stateful_set.status.collisionCount
        try:
            kept, old = await keep_current(
                self._rest, stateful_set, template, revisions, collisions, hash_label=HASH_LABEL
            )
        except HashCollision:
            status = stateful_set.status.clone()
            status.collisionCount = (collisions or 0) + 1
            await write_status(self._rest, stateful_set, status)
            return DONE  # its own change brings the key back
        before = next((each for each in old if each.name == stateful_set.status.currentRevision), kept)
        current, update = (Revision(each.name, template_of(each)) for each in (before, kept))
        now = self._clock.now()
        plan = make_plan(stateful_set, pods, current, update, now)
        status = count(stateful_set, pods, current.name, update.name, collisions, now)
        try:
            waits = await self._perform(stateful_set, plan, pods)
        except Exception:  # not when cancelled: another manager may lead now
            await write_status(self._rest, stateful_set, status)
            raise
        await write_status(self._rest, stateful_set, status)
        live = {current.name, update.name} | {pod.labels.get(REVISION_LABEL, "") for pod in pods}
        await forget_old(self._rest, old, live, stateful_set.spec.revisionHistoryLimit)
        seconds = [each for each in (plan.wait_seconds, STALE_SECONDS if waits else 0.0) if each]
        return after(min(seconds)) if seconds else DONE

    async def _perform(self, stateful_set: StatefulSet, plan: Plan, pods: Iterable[Pod]) -> bool:
        """Returns whether a pod waits for the end of an earlier one's claim. Raises: the first error."""
        condemned = {pod.metadata.uid for pod in plan.condemned}
        for pod in pods:
            await self._own_claims(stateful_set, pod, condemned=pod.metadata.uid in condemned)
        for pod in plan.correct:
            with suppress(NotFound, Conflict):
                await self._rest.update(pod)
        waits: list[str] = []

        async def create(pod: Pod) -> None:
            if not await self._create(stateful_set, pod):
                waits.append(pod.name)

        async def delete(pod: Pod) -> None:
            await self._delete(stateful_set, pod)

        for pod in plan.recreate:
            failed = pod.status.phase == "Failed"
            kind, reason = ("Warning", "RecreatingFailedPod") if failed else ("Normal", "RecreatingTerminatedPod")
            word = "failed" if failed else "terminated"
            text = f"StatefulSet {stateful_set.key} is recreating {word} Pod {pod.name}"
            self._recorder.event(stateful_set, kind, reason, text)
        _, errors = await slow_start(plan.create, create)
        errors += await in_parallel([*plan.recreate, *plan.delete], delete)
        if errors:
            raise errors[0]
        return bool(waits)

    async def _create(self, stateful_set: StatefulSet, pod: Pod) -> bool:
        """Makes the pod's claims and then the pod; False while a claim of an earlier pod is about to go."""
        claims = new_claims(stateful_set, ordinal_of(stateful_set, pod))
        existing = [self._claims.get(each.key) for each in claims]
        if any(each is not None and is_stale(each, pod.name, "") for each in existing):
            return False
        for wanted, present in zip(claims, existing, strict=True):
            if present is None:
                text = f"Claim {wanted.name} Pod {pod.name} in StatefulSet {stateful_set.name}"
                await self._create_object(stateful_set, wanted, text, "success")
            elif present.metadata.deletionTimestamp is not None:
                text = f"Create Pod {pod.name} in StatefulSet {stateful_set.name} failed error: "
                text += f"pvc {wanted.name} is being deleted"
                self._recorder.event(stateful_set, "Warning", "FailedCreate", text)
                return False
        await self._create_object(stateful_set, pod, f"Pod {pod.name} in StatefulSet {stateful_set.name}", "successful")
        return True

    async def _create_object(
        self, stateful_set: StatefulSet, obj: Pod | PersistentVolumeClaim, what: str, success: str
    ) -> None:
        try:
            await self._rest.create(obj)
        except AlreadyExists:
            return  # the cache is behind; another owner's object of this name is found when it is shown
        except StatusError as error:
            self._recorder.event(stateful_set, "Warning", "FailedCreate", f"Create {what} failed error: {error}")
            raise
        self._recorder.event(stateful_set, "Normal", "SuccessfulCreate", f"Create {what} {success}")

    async def _delete(self, stateful_set: StatefulSet, pod: Pod) -> None:
        what = f"Delete Pod {pod.name} in StatefulSet {stateful_set.name}"
        try:
            await delete_surely(self._rest, pod, self._clock)
        except StatusError as error:
            self._recorder.event(stateful_set, "Warning", "FailedDelete", f"{what} failed error: {error}")
            raise
        self._recorder.event(stateful_set, "Normal", "SuccessfulDelete", f"{what} successful")

    async def _own_claims(self, stateful_set: StatefulSet, pod: Pod, *, condemned: bool) -> None:
        """Has the pod's claims go with the set or the pod, as the retention policy says."""
        for name in claim_names(stateful_set, ordinal_of(stateful_set, pod)).values():
            present = self._claims.get(f"{stateful_set.namespace}/{name}")
            if present is None or is_stale(present, pod.name, pod.metadata.uid or ""):
                continue
            owners = with_owners(present, stateful_set, pod, condemned=condemned)
            if owners == (present.metadata.ownerReferences or []):
                continue
            changed = present.clone()
            changed.metadata.ownerReferences = owners or None
            with suppress(NotFound, Conflict):
                await self._rest.update(changed)


def _selector(stateful_set: StatefulSet) -> Selector:
    return selector_of(stateful_set.spec.selector)


CONTROLLER = ControllerSpec(
    "statefulset-controller",
    StatefulSetReconciler,
    [own(StatefulSet), owner(ControllerRevision, KIND), Watch(Pod, StatefulSetReconciler.concerned_by)],
    workers_flag="--concurrent-statefulset-syncs",
    subjects="StatefulSets",
)
