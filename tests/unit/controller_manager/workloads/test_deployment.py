"""Deployment: the arithmetic of rolling, revisions, conditions, and whole rollouts against an API in memory."""

from __future__ import annotations

import random
from typing import Any

import pytest

from apimachinery.conditions import get_condition
from apimachinery.meta import LabelSelector, ObjectMeta
from apimachinery.times import format_time
from controller_manager.controllers.workloads._templatehash import template_hash
from controller_manager.controllers.workloads.deployment import _revisions as revisions
from controller_manager.controllers.workloads.deployment import _rollout as rollout
from controller_manager.controllers.workloads.deployment import _status as statuses
from controller_manager.controllers.workloads.deployment.deployment import CONTROLLER
from controller_manager.controllers.workloads.replicas.replicaset import CONTROLLER as REPLICASET_CONTROLLER
from kubeapi.apps.deployment import (
    Deployment,
    DeploymentCondition,
    DeploymentSpec,
    DeploymentStatus,
    DeploymentStrategy,
    RollingUpdateDeployment,
)
from kubeapi.apps.replicaset import ReplicaSet, ReplicaSetSpec, ReplicaSetStatus
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container, PodSpec
from kubeapi.core.pod.status import PodCondition
from kubeapi.core.pod.template import PodTemplateSpec
from tests.fakes.api import FakeApi, Running, settle

NOW = 1_700_000_000.0
LABELS = {"app": "web"}


def template(image: str = "v1") -> PodTemplateSpec:
    return PodTemplateSpec(
        metadata=ObjectMeta(labels=dict(LABELS)), spec=PodSpec(containers=[Container(name="c", image=image)])
    )


def deployment(
    replicas: int = 10, surge: int | str = 1, unavailable: int | str = 0, image: str = "v1", **spec: Any
) -> Deployment:
    strategy = DeploymentStrategy(rollingUpdate=RollingUpdateDeployment(maxSurge=surge, maxUnavailable=unavailable))
    values: dict[str, Any] = {
        "replicas": replicas,
        "strategy": strategy,
        "selector": LabelSelector(matchLabels=dict(LABELS)),
        "template": template(image),
    }
    return Deployment(metadata=ObjectMeta(name="web", namespace="default"), spec=DeploymentSpec(**(values | spec)))


def replica_set(
    name: str, replicas: int, *, exist: int | None = None, available: int | None = None, age: int = 0, **notes: int
) -> ReplicaSet:
    exist = replicas if exist is None else exist
    rs = ReplicaSet(metadata=ObjectMeta(name=name, namespace="default"), spec=ReplicaSetSpec(replicas=replicas))
    rs.metadata.creationTimestamp = format_time(NOW - age)
    rs.status = ReplicaSetStatus(replicas=exist, availableReplicas=exist if available is None else available)
    rs.metadata.annotations = {f"deployment.kubernetes.io/{key.replace('_', '-')}": str(v) for key, v in notes.items()}
    return rs


# Bounds


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (10, "25%", "25%", (3, 2)),
        (10, 1, 0, (1, 0)),
        (3, "25%", "25%", (1, 0)),
        (1, 0, 0, (0, 1)),
        (10, "0%", "1%", (0, 1)),
        (5, 0, 20, (0, 5)),
        (0, "50%", "50%", (0, 0)),
        (10, "100%", "100%", (10, 10)),
    ],
)
def test_surge_is_rounded_up_and_unavailability_down(
    replicas: int, surge: int | str, unavailable: int | str, expected: tuple[int, int]
) -> None:
    limits = rollout.bounds(deployment(replicas, surge, unavailable))
    assert (limits.surge, limits.unavailable) == expected


def test_recreate_has_no_surge() -> None:
    recreate = deployment(10, 5, 5, strategy=DeploymentStrategy(type="Recreate"))
    assert rollout.bounds(recreate).most_pods == 10


# Sizes


@pytest.mark.parametrize(
    ("old", "old_exist", "new", "surge", "expected"),
    [
        (10, 10, 0, 2, 2),
        (8, 8, 2, 2, 4),
        (8, 10, 2, 2, 2),  # scaled down, but the pods are still there
        (8, 8, 2, 4, 6),
        (0, 0, 3, 0, 10),
        (2, 2, 9, 5, 10),
        (0, 0, 12, 0, 10),
    ],
)
def test_the_new_one_grows_within_the_surge(old: int, old_exist: int, new: int, surge: int, expected: int) -> None:
    before, now = replica_set("old", old, exist=old_exist), replica_set("new", new)
    assert rollout.new_size(deployment(10, surge, 0), [before, now], now) == expected


@pytest.mark.parametrize(
    ("old", "old_available", "new", "new_available", "unavailable", "expected"),
    [
        (10, 10, 0, 0, 2, 8),
        (10, 10, 2, 0, 0, 10),
        (10, 10, 2, 1, 0, 9),
        (8, 8, 4, 2, 0, 8),
        (10, 5, 0, 0, 2, 8),  # unhealthy ones go first, but not more than may
        (4, 4, 6, 6, 10, 0),
        (0, 0, 10, 10, 0, 0),
    ],
)
def test_the_old_one_shrinks_as_others_become_available(
    old: int, old_available: int, new: int, new_available: int, unavailable: int, expected: int
) -> None:
    before = replica_set("old", old, available=old_available)
    now = replica_set("new", new, available=new_available)
    sizes = rollout.sizes_after_scale_down(deployment(10, 2, unavailable), [before], now)
    assert {rs.name: size for rs, size in sizes}.get("old", old) == expected


def test_unhealthy_pods_go_before_healthy_ones_of_older_revisions() -> None:
    oldest, broken = replica_set("oldest", 8, age=100), replica_set("broken", 3, available=0, age=10)
    new = replica_set("new", 2)
    sizes = {rs.name: size for rs, size in rollout.sizes_after_scale_down(deployment(10, 3, 0), [broken, oldest], new)}
    assert sizes == {"broken": 0}


def test_a_stale_status_does_not_take_too_many() -> None:
    """The old one was scaled to 2 already, its status still says 3: with one new pod the minimum of 3 is just met."""
    old, new = replica_set("old", 2, exist=3, available=3), replica_set("new", 2, available=1)
    assert rollout.sizes_after_scale_down(deployment(3, 1, 0), [old], new) == []


def sizes_of(plan: list[tuple[ReplicaSet, int]]) -> dict[str, int]:
    return {rs.name: size for rs, size in plan}


def test_scaling_a_finished_rollout_sizes_the_one_replica_set() -> None:
    new = replica_set("new", 10, desired_replicas=10, max_replicas=11)
    assert rollout.is_scaling(deployment(4), [new])
    assert sizes_of(rollout.scaled_sizes(deployment(4), new, [])) == {"new": 4}
    assert rollout.scaled_sizes(deployment(10), new, []) == []
    assert not rollout.is_scaling(deployment(10), [new])


def test_scaling_during_a_rollout_is_shared_in_proportion() -> None:
    """Upstream's documented example: 10 replicas, surge 3, 8 old and 5 new; scaled to 15 they become 11 and 7."""
    notes = {"desired_replicas": 10, "max_replicas": 13}
    old, new = replica_set("old", 8, age=10, **notes), replica_set("new", 5, available=0, **notes)
    assert sizes_of(rollout.scaled_sizes(deployment(15, 3, 2), new, [old])) == {"old": 11, "new": 7}


@pytest.mark.parametrize("replicas", [0, 1, 5, 9, 12, 30])
@pytest.mark.parametrize("parts", [(8, 5), (1, 12), (6, 6, 1), (4, 4, 5), (13, 0)])
def test_proportional_shares_always_add_up(replicas: int, parts: tuple[int, ...]) -> None:
    notes = {"desired_replicas": 10, "max_replicas": 13}
    *old, new = [replica_set(f"rs{i}", size, available=0, age=100 - i, **notes) for i, size in enumerate(parts)]
    plan = rollout.scaled_sizes(deployment(replicas, 3, 2), new, old)
    total = sum(sizes_of(plan).values())
    assert total == (replicas if len(rollout.active([*old, new])) == 1 else replicas + 3 if replicas else 0)


def test_a_saturated_deployment_gives_up_its_old_ones() -> None:
    new = replica_set("new", 10, desired_replicas=10, max_replicas=11)
    assert sizes_of(rollout.scaled_sizes(deployment(10), new, [replica_set("old", 2)])) == {"old": 0}


# Revisions


def test_templates_are_compared_without_the_hash_label() -> None:
    left, right = template(), template()
    right.metadata.labels = LABELS | {revisions.HASH_LABEL: "x"}
    assert revisions.same_template(left, right)
    assert not revisions.same_template(left, template("v2"))
    right.metadata.annotations = {"a": "b"}
    assert not revisions.same_template(left, right)


def test_hashes_depend_on_template_and_collisions_alone() -> None:
    assert template_hash(template(), None) == template_hash(template(), None)
    hashes = {template_hash(template(image), count) for image in ("v1", "v2") for count in (None, 1, 2)}
    assert len(hashes) == 6


def test_a_new_replica_set_is_labeled_selected_and_annotated() -> None:
    parent = deployment(7, 2)
    parent.metadata.uid = "u"
    parent.metadata.annotations = {"note": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    rs = revisions.new_replica_set(parent, [replica_set("old", 1, revision=4)])
    digest = rs.labels[revisions.HASH_LABEL]
    assert rs.name == f"web-{digest}"
    assert rs.spec.selector is not None
    assert rs.spec.selector.matchLabels == rs.spec.template.metadata.labels == LABELS | {"pod-template-hash": digest}
    assert rs.annotations == {
        "note": "x",
        "deployment.kubernetes.io/revision": "5",
        "deployment.kubernetes.io/desired-replicas": "7",
        "deployment.kubernetes.io/max-replicas": "9",
    }
    assert parent.spec.template.metadata.labels == LABELS


def test_going_back_to_an_old_template_makes_it_the_newest_revision() -> None:
    back, other = replica_set("back", 0, revision=1), replica_set("other", 3, revision=2)
    changed = revisions.corrected(deployment(), back, [other])
    assert changed is not None
    assert changed.annotations[revisions.REVISION] == "3"
    assert changed.annotations[revisions.REVISION_HISTORY] == "1"
    assert revisions.corrected(deployment(), changed, [other]) is None


def test_history_is_cut_at_its_limit() -> None:
    old = [replica_set(f"rs{n}", 0, revision=n) for n in (3, 1, 2, 4)]
    for rs in old:
        rs.status.observedGeneration = 1
    old[1].status.replicas = 1
    assert [rs.name for rs in revisions.expendable(deployment(revisionHistoryLimit=1), old)] == ["rs2", "rs3"]
    assert revisions.expendable(deployment(revisionHistoryLimit=None), old) == []


# Conditions


def progressing(reason: str, status: str = "True", seconds_ago: float = 0) -> DeploymentCondition:
    stamp = format_time(NOW - seconds_ago)
    return DeploymentCondition(
        type="Progressing", status=status, reason=reason, lastUpdateTime=stamp, lastTransitionTime=stamp
    )


def rolled(before: DeploymentStatus, *sets: ReplicaSet, **spec: Any) -> DeploymentStatus:
    """The status after a look at these ReplicaSets, the last of which is the new one."""
    parent = deployment(3, **spec)
    parent.metadata.generation = 2
    parent.status = before
    return statuses.rollout_status(parent, sets, sets[-1], NOW)


def reason_of(status: DeploymentStatus, kind: str = "Progressing") -> tuple[str, str | None] | None:
    condition = get_condition(status.conditions, kind)
    return (condition.status, condition.reason) if condition is not None else None


def test_a_complete_rollout_is_available_and_says_so() -> None:
    status = rolled(DeploymentStatus(), replica_set("old", 0), replica_set("new", 3))
    assert reason_of(status) == ("True", "NewReplicaSetAvailable")
    assert reason_of(status, "Available") == ("True", "MinimumReplicasAvailable")
    assert (status.replicas, status.updatedReplicas, status.availableReplicas) == (3, 3, 3)
    assert status.unavailableReplicas is None


def test_progress_moves_the_deadline_but_not_the_transition() -> None:
    before = DeploymentStatus(conditions=[progressing("ReplicaSetUpdated", seconds_ago=500)])
    status = rolled(before, replica_set("new", 3, available=1))
    condition = get_condition(status.conditions, "Progressing")
    assert condition is not None
    assert condition.lastUpdateTime == format_time(NOW)
    assert condition.lastTransitionTime == format_time(NOW - 500)
    assert reason_of(status, "Available") == ("False", "MinimumReplicasUnavailable")


def test_no_progress_until_the_deadline_is_a_failure() -> None:
    still = {"replicas": 3, "updatedReplicas": 3, "observedGeneration": 2}
    late = DeploymentStatus(conditions=[progressing("ReplicaSetUpdated", seconds_ago=601)], **still)
    assert reason_of(rolled(late, replica_set("new", 3, available=0))) == ("False", "ProgressDeadlineExceeded")
    in_time = DeploymentStatus(conditions=[progressing("ReplicaSetUpdated", seconds_ago=599)], **still)
    assert reason_of(rolled(in_time, replica_set("new", 3, available=0))) == ("True", "ReplicaSetUpdated")
    failed = DeploymentStatus(conditions=[progressing("ProgressDeadlineExceeded", "False")], **still)
    assert reason_of(rolled(failed, replica_set("new", 3, available=1))) == ("True", "ReplicaSetUpdated")


def test_pods_that_die_after_a_complete_rollout_do_not_start_another() -> None:
    done = DeploymentStatus(
        replicas=3, updatedReplicas=3, conditions=[progressing("NewReplicaSetAvailable", seconds_ago=9999)]
    )
    assert reason_of(rolled(done, replica_set("new", 3, available=0))) == ("True", "NewReplicaSetAvailable")


def test_without_a_deadline_there_is_no_progressing_condition() -> None:
    status = rolled(DeploymentStatus(), replica_set("new", 3), progressDeadlineSeconds=None)
    assert reason_of(status) is None


def test_pausing_and_resuming() -> None:
    paused = deployment(paused=True)
    condition = statuses.paused_condition(paused, NOW)
    assert condition is not None
    assert (condition.status, condition.reason) == ("Unknown", "DeploymentPaused")
    paused.status.conditions = [condition]
    assert statuses.paused_condition(paused, NOW) is None
    paused.spec.paused = None
    resumed = statuses.paused_condition(paused, NOW)
    assert resumed is not None
    assert resumed.reason == "DeploymentResumed"


def test_when_to_look_at_the_deadline_again() -> None:
    parent = deployment()
    status = DeploymentStatus(conditions=[progressing("ReplicaSetUpdated", seconds_ago=100)])
    assert statuses.seconds_to_deadline(parent, status, NOW) == 501
    status.conditions = [progressing("NewReplicaSetAvailable")]
    assert statuses.seconds_to_deadline(parent, status, NOW) == 0


# Whole rollouts


class World:
    """A Deployment and ReplicaSet controller on an API in memory, and pods that become ready when told."""

    def __init__(self, parent: Deployment) -> None:
        self.api = FakeApi()
        self.deployments = Running(self.api, CONTROLLER)
        self.replica_sets = Running(self.api, REPLICASET_CONTROLLER)
        self.api.put(parent)

    @property
    def deployment(self) -> Deployment:
        found: Deployment = self.api.find(Deployment, "default/web")
        return found

    def pods(self, image: str = "") -> list[Pod]:
        return [pod for pod in self.api.all(Pod) if not image or pod.spec.containers[0].image == image]

    def edit(self, **spec: Any) -> None:
        def change(parent: Deployment) -> None:
            for name, value in spec.items():
                setattr(parent.spec, name, value)
            parent.metadata.generation = (parent.metadata.generation or 0) + 1

        self.api.change(Deployment, "default/web", change)

    def make_ready(self, pod: Pod) -> None:
        stamp = format_time(self.api.clock.now())

        def ready(each: Pod) -> None:
            each.status.phase = "Running"
            each.status.conditions = [PodCondition(type="Ready", status="True", lastTransitionTime=stamp)]

        self.api.change(Pod, pod.key, ready)

    def make_all_ready(self) -> bool:
        waiting = [pod for pod in self.pods() if not pod.status.conditions]
        for pod in waiting:
            self.make_ready(pod)
        return bool(waiting)

    async def rest(self) -> None:
        await settle(self.api, self.deployments, self.replica_sets)

    async def finish(self) -> None:
        await self.rest()
        while self.make_all_ready():
            await self.rest()

    def available(self) -> int:
        return sum(bool(pod.status.conditions) for pod in self.pods())


async def test_a_rollout_replaces_all_pods_and_keeps_the_old_replica_set() -> None:
    world = World(deployment(4))
    await world.finish()
    assert len(world.pods("v1")) == 4
    assert world.deployment.annotations[revisions.REVISION] == "1"
    world.edit(template=template("v2"))
    await world.finish()
    assert (len(world.pods("v1")), len(world.pods("v2"))) == (0, 4)
    assert sorted(rs.spec.replicas for rs in world.api.all(ReplicaSet)) == [0, 4]
    assert world.deployment.annotations[revisions.REVISION] == "2"
    assert statuses.is_complete(world.deployment, world.deployment.status)
    assert reason_of(world.deployment.status) == ("True", "NewReplicaSetAvailable")
    assert any("Scaled up replica set" in event for event in world.deployments.recorder.events)


async def test_going_back_reuses_the_replica_set() -> None:
    world = World(deployment(2))
    await world.finish()
    world.edit(template=template("v2"))
    await world.finish()
    world.edit(template=template("v1"))
    await world.finish()
    assert len(world.api.all(ReplicaSet)) == 2
    assert len(world.pods("v1")) == 2
    assert world.deployment.annotations[revisions.REVISION] == "3"


async def test_recreate_lets_all_old_pods_go_before_the_first_new_one() -> None:
    world = World(deployment(3, strategy=DeploymentStrategy(type="Recreate")))
    await world.finish()
    for pod in world.pods():
        world.api.change(Pod, pod.key, lambda each: setattr(each.metadata, "finalizers", ["hold"]))
    world.edit(template=template("v2"))
    await world.rest()
    assert len(world.pods("v1")) == 3
    assert world.pods("v2") == []
    for pod in world.pods():
        await world.api.patch(Pod, pod.name, pod.namespace, {"metadata": {"finalizers": None}})
    await world.finish()
    assert (len(world.pods("v1")), len(world.pods("v2"))) == (0, 3)


async def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    world = World(deployment(2))
    await world.finish()
    world.edit(paused=True, template=template("v2"), replicas=3)
    await world.finish()
    assert (len(world.pods("v1")), len(world.pods("v2"))) == (3, 0)
    assert reason_of(world.deployment.status) == ("Unknown", "DeploymentPaused")
    world.edit(paused=None)
    await world.finish()
    assert (len(world.pods("v1")), len(world.pods("v2"))) == (0, 3)


async def test_history_beyond_the_limit_is_removed() -> None:
    world = World(deployment(1, revisionHistoryLimit=1))
    for number in range(1, 5):
        world.edit(template=template(f"v{number}"))
        await world.finish()
    assert sorted(revisions.revision_of(rs) for rs in world.api.all(ReplicaSet)) == [3, 4]


async def test_a_name_taken_by_another_template_leads_to_another_name() -> None:
    world = World(deployment(1))
    wanted = revisions.new_replica_set(world.deployment, [])
    wanted.metadata.ownerReferences = None
    wanted.metadata.labels = {"someone": "else"}
    wanted.spec.template = template("other")
    world.api.put(wanted)
    await world.finish()
    assert world.deployment.status.collisionCount == 1
    assert len(world.pods("v1")) == 1


async def test_a_selector_that_selects_everything_is_refused() -> None:
    world = World(deployment(2, selector=LabelSelector()))
    await world.rest()
    assert world.api.all(ReplicaSet) == []
    assert any("SelectingAll" in event for event in world.deployments.recorder.events)
    assert world.deployment.status.observedGeneration == world.deployment.metadata.generation


@pytest.mark.parametrize(("surge", "unavailable"), [(1, 0), (0, 1), ("25%", "25%"), (3, 2), ("100%", 0), (0, "100%")])
@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_there_are_never_too_many_pods_nor_too_few(
    surge: int | str, unavailable: int | str, seed: int
) -> None:
    """Caches lag, pods become ready or die, controllers are killed, templates and sizes change: at random."""
    dice = random.Random(seed)
    world = World(deployment(5, surge, unavailable))
    await world.finish()
    images, deaths = 1, 0
    for _ in range(220):
        limits = rollout.bounds(world.deployment)
        match dice.choices(
            ["deliver", "deployment", "replicaset", "ready", "die", "template", "kill"],
            weights=[30, 20, 20, 20, 2, 2, 1],
        )[0]:
            case "deliver":
                world.api.deliver(dice.randint(1, 5))
            case "deployment" if world.deployments.waiting:
                await world.deployments.step()
            case "replicaset" if world.replica_sets.waiting:
                await world.replica_sets.step()
            case "ready":
                waiting = [pod for pod in world.pods() if not pod.status.conditions]
                if waiting:
                    world.make_ready(dice.choice(waiting))
            case "die" if world.pods():
                world.api._remove(_pods(), dice.choice(world.pods()))
                deaths += 1
            case "template":
                images += 1
                world.edit(template=template(f"v{images}"))
            case "kill":
                # A new process starts with empty hands and a fresh cache.
                world.api._informers.clear()
                world.api.undelivered.clear()
                world.deployments = Running(world.api, CONTROLLER)
                world.replica_sets = Running(world.api, REPLICASET_CONTROLLER)
        assert len(world.pods()) <= limits.most_pods
        assert deaths or world.available() >= limits.least_available
    await world.finish()
    assert len(world.pods(f"v{images}")) == len(world.pods()) == 5
    assert statuses.is_complete(world.deployment, world.deployment.status)


def _pods() -> Any:
    from apimachinery.resource import resource_of

    return resource_of(Pod)
