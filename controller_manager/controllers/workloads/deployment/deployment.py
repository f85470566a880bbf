"""Deployment: rolls its template out through ReplicaSets, one per revision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from apimachinery.conditions import get_condition
from apimachinery.errors import AlreadyExists, Conflict, NotFound, StatusError, object_conflict
from apimachinery.meta import controller_of, split_key
from apimachinery.selectors import selector_of
from controller_manager.controllers.workloads.deployment import _revisions as revisions
from controller_manager.controllers.workloads.deployment import _rollout as rollout
from controller_manager.controllers.workloads.deployment import _status as statuses
from controller_manager.ownership import OWNER_INDEX, candidates, claim, delete_surely, index_by_owner
from kubeapi.apps.deployment import Deployment, DeploymentCondition, DeploymentStatus
from kubeapi.apps.replicaset import ReplicaSet
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, after, own, owner, owner_key

BEHIND_SECONDS = 1.0
"""The wait until another look, should the cache not catch up; normally its next change brings the key back."""


@dataclass
class _Rollout:
    """Holds one reconcile: the Deployment as cached, as it is about to be written, and its ReplicaSets."""

    cached: Deployment
    deployment: Deployment
    replica_sets: list[ReplicaSet]
    new: ReplicaSet | None

    @property
    def old(self) -> list[ReplicaSet]:
        return [rs for rs in self.replica_sets if rs is not self.new]

    def replace(self, before: ReplicaSet, after: ReplicaSet) -> None:
        self.replica_sets = [after if rs is before else rs for rs in self.replica_sets]
        if self.new is before:
            self.new = after

    def note(self, condition: DeploymentCondition) -> None:
        status = self.deployment.status
        status.conditions = statuses.with_condition(status.conditions, condition)


class DeploymentReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder, self._clock = context.rest, context.recorder, context.clock
        self._deployments = context.informers.of(Deployment)
        self._replica_sets = context.informers.of(ReplicaSet)
        self._pods = context.informers.of(Pod)
        index_by_owner(self._replica_sets)
        index_by_owner(self._pods)
        self._written: dict[str, dict[str, int]] = {}
        """Deployment -> uid of a ReplicaSet -> the generation this controller has given it."""

    def adopters_of(self, old: ReplicaSet | None, new: ReplicaSet | None) -> Iterable[str]:
        """Wakes the Deployments that select an orphan: one of them may adopt it."""
        if new is None or controller_of(new) is not None:
            return
        for deployment in self._deployments.list(new.namespace):
            if selector_of(deployment.spec.selector).matches(new.labels):
                yield deployment.key

    def recreated_after(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        """Wakes a Deployment that recreates its pods when one has ended: it waits for the last to be gone."""
        if old is None or (new is not None and not is_terminal(new.status.phase)):
            return
        replica_set = self._replica_sets.get(owner_key(old, "ReplicaSet"))
        deployment = self._deployments.get(owner_key(replica_set, "Deployment")) if replica_set is not None else None
        if deployment is not None and deployment.spec.strategy.type == rollout.RECREATE:
            yield deployment.key

    async def reconcile(self, key: str) -> Result:
        cached = self._deployments.get(key)
        if cached is None:
            self._written.pop(key, None)
            return DONE
        if self._is_behind(key):
            return after(BEHIND_SECONDS)
        selector = selector_of(cached.spec.selector)
        deployment = cached.clone()
        if selector.empty:
            message = "This deployment is selecting all pods. A non-empty selector is required."
            self._recorder.event(cached, "Warning", "SelectingAll", message)
            deployment.status.observedGeneration = cached.metadata.generation
            await self._write(cached, deployment)
            return DONE
        replica_sets = await claim(self._rest, cached, selector, candidates(self._replica_sets, cached))
        state = _Rollout(cached, deployment, replica_sets, revisions.find_new(cached, replica_sets))
        if cached.metadata.deletionTimestamp is not None:
            return await self._finish(state, statuses.counted_status)
        await self._sync_revision(state)
        if cached.spec.paused or rollout.is_scaling(cached, replica_sets):
            for replica_set, size in rollout.scaled_sizes(cached, state.new, state.old):
                await self._resize(state, replica_set, size)
            if cached.spec.paused:
                await self._clean_up(state)
            return await self._finish(state, statuses.counted_status)
        if cached.spec.strategy.type == rollout.RECREATE:
            await self._recreate(state)
        else:
            await self._roll(state)
        return await self._finish(state, statuses.rollout_status)

    def _is_behind(self, key: str) -> bool:
        """Tells whether the cache lacks a size set before: by the old one, two ReplicaSets could shrink, not one."""
        written = self._written.get(key, {})
        cached = {rs.metadata.uid: rs for rs in self._replica_sets.list(split_key(key)[0])} if written else {}
        for uid, generation in list(written.items()):
            replica_set = cached.get(uid)
            if replica_set is None or (replica_set.metadata.generation or 0) >= generation:
                del written[uid]
        if not written:
            self._written.pop(key, None)
        return bool(written)

    async def _sync_revision(self, state: _Rollout) -> None:
        """Brings the new ReplicaSet's annotations up to date and notes what the conditions should say of it."""
        deployment, now = state.deployment, self._clock.now()
        paused = statuses.paused_condition(deployment, now)
        if paused is not None:
            state.note(paused)
        if state.new is None:
            return
        changed = revisions.corrected(deployment, state.new, state.old)
        if changed is not None:
            state.replace(state.new, await self._rest.update(changed))
        self._note_new(state, statuses.NEW_FOUND, f'Found new replica set "{state.new.name}"', only_first=True)

    def _note_new(self, state: _Rollout, reason: str, message: str, *, only_first: bool = False) -> None:
        """Notes the revision and, where a deadline asks for it, the Progressing condition."""
        deployment = state.deployment
        if state.new is not None:
            revision = state.new.annotations.get(revisions.REVISION, "")
            if deployment.annotations.get(revisions.REVISION) != revision:
                deployment.metadata.annotations = deployment.annotations | {revisions.REVISION: revision}
        progressing = get_condition(deployment.status.conditions, statuses.PROGRESSING)
        if deployment.spec.progressDeadlineSeconds is not None and not (only_first and progressing is not None):
            status = "False" if reason == statuses.NEW_FAILED else "True"
            state.note(statuses.condition(statuses.PROGRESSING, status, reason, message, self._clock.now()))

    async def _roll(self, state: _Rollout) -> None:
        """Makes one step of a rolling update: up within the surge, else down as far as enough pods are available."""
        deployment = state.deployment
        new = state.new if state.new is not None else await self._create_new(state)
        size = rollout.new_size(deployment, state.replica_sets, new)
        if size != new.spec.replicas:
            await self._resize(state, new, size)
            return
        smaller = rollout.sizes_after_scale_down(deployment, state.old, new)
        for replica_set, size in smaller:
            await self._resize(state, replica_set, size)
        if not smaller and statuses.is_complete(deployment, deployment.status):
            await self._clean_up(state)

    async def _recreate(self, state: _Rollout) -> None:
        """Lets all old pods go, then makes the new ones."""
        old = rollout.active(state.old)
        for replica_set in old:
            await self._resize(state, replica_set, 0)
        if old or self._has_pods(state.old):
            return
        new = state.new if state.new is not None else await self._create_new(state)
        await self._resize(state, new, state.deployment.spec.replicas)
        if statuses.is_complete(state.deployment, state.deployment.status):
            await self._clean_up(state)

    def _has_pods(self, replica_sets: list[ReplicaSet]) -> bool:
        """Counts also those that are still being deleted."""
        return rollout.existing_pods(replica_sets) > 0 or any(
            not is_terminal(pod.status.phase)
            for rs in replica_sets
            for pod in self._pods.by_index(OWNER_INDEX, rs.metadata.uid or "")
        )

    async def _create_new(self, state: _Rollout) -> ReplicaSet:
        deployment = state.deployment
        replica_set = revisions.new_replica_set(deployment, state.old)
        replica_set.spec.replicas = rollout.new_size(deployment, [*state.old, replica_set], replica_set)
        try:
            created = await self._rest.create(replica_set)
        except AlreadyExists:
            created = await self._existing(state, replica_set)
        except StatusError as error:
            message = f'Failed to create new replica set "{replica_set.name}": {error}'
            self._note_new(state, statuses.NEW_FAILED, message)
            self._recorder.event(state.cached, "Warning", statuses.NEW_FAILED, message)
            await self._write(state.cached, deployment)
            raise
        else:
            if created.spec.replicas:
                self._tell_scaled(state.cached, created.name, 0, created.spec.replicas)
        state.replica_sets.append(created)
        state.new = created
        self._note_new(state, statuses.NEW_CREATED, f'Created new replica set "{created.name}"')
        return created

    async def _existing(self, state: _Rollout, replica_set: ReplicaSet) -> ReplicaSet:
        """Returns the ReplicaSet of that name, if it is ours (the cache is behind); else another name comes next."""
        existing = await self._rest.get(ReplicaSet, replica_set.name, replica_set.namespace)
        ref = controller_of(existing)
        ours = ref is not None and ref.uid == state.cached.metadata.uid
        if ours and revisions.same_template(existing.spec.template, replica_set.spec.template):
            return existing
        state.deployment.status.collisionCount = (state.deployment.status.collisionCount or 0) + 1
        await self._write(state.cached, state.deployment)
        raise object_conflict("replicasets", "apps", replica_set.name, "the name is taken by another template")

    async def _resize(self, state: _Rollout, replica_set: ReplicaSet, size: int) -> None:
        changed = revisions.resized(state.deployment, replica_set, size)
        if changed is None:
            return
        stored = await self._rest.update(changed)
        state.replace(replica_set, stored)
        self._written.setdefault(state.cached.key, {})[stored.metadata.uid or ""] = stored.metadata.generation or 0
        if replica_set.spec.replicas != size:
            self._tell_scaled(state.cached, replica_set.name, replica_set.spec.replicas, size)

    def _tell_scaled(self, deployment: Deployment, name: str, before: int, now: int) -> None:
        way = "up" if now > before else "down"
        message = f"Scaled {way} replica set {name} from {before} to {now}"
        self._recorder.event(deployment, "Normal", "ScalingReplicaSet", message)

    async def _clean_up(self, state: _Rollout) -> None:
        for replica_set in revisions.expendable(state.deployment, state.old):
            await delete_surely(self._rest, replica_set, self._clock)

    async def _finish(self, state: _Rollout, compute: statuses.Compute) -> Result:
        deployment, now = state.deployment, self._clock.now()
        status: DeploymentStatus = compute(deployment, state.replica_sets, state.new, now)
        deployment.status = status
        await self._write(state.cached, deployment)
        seconds = statuses.seconds_to_deadline(deployment, status, now)
        return after(seconds) if seconds else DONE

    async def _write(self, cached: Deployment, deployment: Deployment) -> None:
        """Writes status and revision annotation in one request; nothing when nothing changed."""
        if deployment.status == cached.status and deployment.annotations == cached.annotations:
            return
        try:
            await self._rest.update(deployment, "status")
        except (NotFound, Conflict):
            return  # the cache is behind: what it is about to learn brings the key back


CONTROLLER = ControllerSpec(
    "deployment-controller",
    DeploymentReconciler,
    [
        own(Deployment),
        owner(ReplicaSet, "Deployment"),
        Watch(ReplicaSet, DeploymentReconciler.adopters_of),
        Watch(Pod, DeploymentReconciler.recreated_after),
    ],
    workers_flag="--concurrent-deployment-syncs",
    subjects="Deployments",
)
