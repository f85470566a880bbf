"""ReplicaSet: which pods it has, makes and removes, whatever its cache has not seen yet."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from apimachinery.conditions import get_condition
from apimachinery.errors import BadRequest, InternalError
from apimachinery.meta import LabelSelector, ObjectMeta, OwnerReference
from apimachinery.selectors import selector_of
from apimachinery.times import format_time
from controller_manager.controllers.workloads._podranking import DELETION_COST, pods_to_delete
from controller_manager.controllers.workloads.replicas._status import ManageError, compute_status
from controller_manager.controllers.workloads.replicas.replicaset import CONTROLLER
from controller_manager.ownership import (
    EXPECTATION_SECONDS,
    MOST_FAILURES,
    PARALLEL_REQUESTS,
    Expectations,
    create_surely,
    in_parallel,
    owner_reference,
    plan_claim,
    slow_start,
)
from kubeapi.apps.replicaset import ReplicaSet, ReplicaSetCondition, ReplicaSetSpec
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container, PodSpec
from kubeapi.core.pod.status import ContainerStatus, PodCondition, PodStatus
from kubeapi.core.pod.template import PodTemplateSpec
from tests.fakes.api import FakeApi, Running, settle
from tests.fakes.clock import QuickClock

NOW = 1_700_000_000.0
LABELS = {"app": "web"}


def replica_set(replicas: int = 3, name: str = "web", **spec: Any) -> ReplicaSet:
    template = PodTemplateSpec(
        metadata=ObjectMeta(labels=dict(LABELS)), spec=PodSpec(containers=[Container(name="c", image="i")])
    )
    return ReplicaSet(
        metadata=ObjectMeta(name=name, namespace="default"),
        spec=ReplicaSetSpec(
            replicas=replicas, selector=LabelSelector(matchLabels=dict(LABELS)), template=template, **spec
        ),
    )


def pod(
    name: str,
    *,
    ready: bool = False,
    ready_seconds: float = 100,
    age: float = 1000,
    phase: str = "Running",
    node: str = "n1",
    restarts: int = 0,
    **annotations: str,
) -> Pod:
    condition = PodCondition(
        type="Ready", status="True" if ready else "False", lastTransitionTime=format_time(NOW - ready_seconds)
    )
    return Pod(
        metadata=ObjectMeta(
            name=name,
            namespace="default",
            uid=f"uid-{name}",
            labels=dict(LABELS),
            annotations=annotations or None,
            creationTimestamp=format_time(NOW - age),
        ),
        spec=PodSpec(nodeName=node or None),
        status=PodStatus(
            phase=phase, conditions=[condition], containerStatuses=[ContainerStatus(name="c", restartCount=restarts)]
        ),
    )


# Which pods go first


BETTER_AND_WORSE = {
    "without a node": (pod("b"), pod("w", node="")),
    "pending": (pod("b"), pod("w", phase="Pending")),
    "not ready": (pod("b", ready=True), pod("w")),
    "cheaper": (pod("b", ready=True, **{DELETION_COST: "10"}), pod("w", ready=True)),
    "negative cost": (pod("b", ready=True), pod("w", ready=True, **{DELETION_COST: "-1"})),
    "ready for a shorter time": (pod("b", ready=True, ready_seconds=900), pod("w", ready=True, ready_seconds=10)),
    "restarted more often": (pod("b", ready=True), pod("w", ready=True, restarts=3)),
    "younger": (pod("b", ready=True, age=10_000), pod("w", ready=True, age=500)),
}


@pytest.mark.parametrize("why", BETTER_AND_WORSE)
def test_the_pod_missed_least_goes_first(why: str) -> None:
    better, worse = BETTER_AND_WORSE[why]
    for order in ([better, worse], [worse, better]):
        assert [each.name for each in pods_to_delete(order, order, 1, NOW)] == ["w"]


def test_a_node_with_more_of_them_gives_up_one() -> None:
    pods = [pod("a", ready=True, node="n1"), pod("b", ready=True, node="n2"), pod("c", ready=True, node="n2")]
    assert pods_to_delete(pods, pods, 1, NOW)[0].spec.nodeName == "n2"


def test_a_bad_cost_counts_as_none_and_readiness_beats_cost() -> None:
    bad = pod("bad", ready=True, **{DELETION_COST: "many"})
    cheap_ready = pod("cheap", ready=True, **{DELETION_COST: "-100"})
    unready = pod("unready", **{DELETION_COST: "100"})
    assert [each.name for each in pods_to_delete([bad, cheap_ready, unready], [], 2, NOW)] == ["unready", "cheap"]


def test_all_go_when_all_must() -> None:
    pods = [pod("a"), pod("b")]
    assert pods_to_delete(pods, pods, 5, NOW) == pods


def test_the_same_pods_are_chosen_again() -> None:
    pods = [pod(f"p{n}", ready=True) for n in range(20)]
    first = {each.name for each in pods_to_delete(pods, pods, 7, NOW)}
    random.Random(1).shuffle(pods)
    assert {each.name for each in pods_to_delete(pods, pods, 7, NOW)} == first


# Status


def test_status_counts() -> None:
    rs = replica_set(minReadySeconds=50)
    unlabeled = pod("unlabeled", ready=True)
    unlabeled.metadata.labels = {"app": "web2"}
    terminating = pod("terminating", ready=True)
    terminating.metadata.deletionTimestamp = format_time(NOW)
    pods = [
        pod("available", ready=True, ready_seconds=60),
        pod("soon", ready=True, ready_seconds=30),
        pod("unready"),
        pod("failed", phase="Failed"),
        terminating,
        unlabeled,
    ]
    outcome = compute_status(rs, pods, None, ReplicaSetCondition, NOW)
    status = outcome.status
    assert (status.replicas, status.fullyLabeledReplicas, status.readyReplicas) == (4, 3, 3)
    assert (status.availableReplicas, status.terminatingReplicas) == (2, 1)
    assert outcome.next_available_seconds == 20


def test_a_failure_is_a_condition_until_it_is_over() -> None:
    rs = replica_set()
    rs.status = compute_status(rs, [], ManageError("quota", creating=True), ReplicaSetCondition, NOW).status
    condition = get_condition(rs.status.conditions, "ReplicaFailure")
    assert condition is not None
    assert (condition.status, condition.reason, condition.message) == ("True", "FailedCreate", "quota")
    again = compute_status(rs, [], ManageError("other", creating=False), ReplicaSetCondition, NOW + 60).status
    assert again.conditions == rs.status.conditions
    assert compute_status(rs, [], None, ReplicaSetCondition, NOW).status.conditions is None


# Claims


def test_who_owns_what() -> None:
    rs = replica_set()
    rs.metadata.uid = "me"
    mine, lost, stranger, orphan, other_orphan, dying = (
        pod(name) for name in ("mine", "lost", "stranger", "orphan", "other", "dying")
    )
    for each, uid in ((mine, "me"), (lost, "me"), (stranger, "you")):
        each.metadata.ownerReferences = [OwnerReference(kind="ReplicaSet", name="x", uid=uid, controller=True)]
    lost.metadata.labels = other_orphan.metadata.labels = {"app": "db"}
    dying.metadata.deletionTimestamp = format_time(NOW)
    selector = selector_of(rs.spec.selector)
    everything = [mine, lost, stranger, orphan, other_orphan, dying]
    plan = plan_claim(rs, selector, everything)
    assert (plan.owned, plan.adopt, plan.release) == ([mine], [orphan], [lost])
    rs.metadata.deletionTimestamp = format_time(NOW)
    plan = plan_claim(rs, selector, everything)
    assert (plan.owned, plan.adopt, plan.release) == ([mine], [], [])


# Expectations, slow start


def test_expectations_are_met_lowered_or_expire() -> None:
    now = [0.0]
    expectations = Expectations(lambda: now[0])
    assert expectations.fulfilled("k")
    expectations.expect("k", creations=2)
    expectations.creation_seen("k")
    assert not expectations.fulfilled("k")
    expectations.creation_seen("k")
    assert expectations.fulfilled("k")
    expectations.expect("k", deletions=["a", "b"])
    expectations.deletion_seen("k", "a")
    expectations.deletion_seen("k", "unknown")
    assert not expectations.fulfilled("k")
    now[0] = EXPECTATION_SECONDS + 1
    assert expectations.fulfilled("k")
    expectations.forget("k")
    expectations.creation_seen("k")
    assert expectations.fulfilled("k")


async def test_slow_start_doubles_and_stops_at_the_first_failure() -> None:
    begun: list[int] = []
    succeeded = 0
    at_once: list[int] = []
    failed = False

    async def work(item: int) -> None:
        nonlocal succeeded, failed
        assert not failed
        begun.append(item)
        at_once.append(len(begun) - succeeded)
        await asyncio.sleep(0)
        if item == 200:
            failed = True
            raise BadRequest("no")
        succeeded += 1

    assert await slow_start(range(100), work) == (100, [])
    assert max(at_once) == PARALLEL_REQUESTS
    assert all(count <= item + 1 for item, count in enumerate(at_once))
    begun.clear()
    succeeded = 0
    tried, errors = await slow_start(range(200, 300), work)
    assert (tried, begun, len(errors)) == (1, [200], 1)
    failed, succeeded = False, 0
    begun.clear()
    tried, errors = await slow_start(range(100, 300), work)
    assert len(errors) == 1
    assert begun == list(range(100, 100 + tried))
    assert await slow_start([], work) == (0, [])


async def test_parallel_work_is_bounded_and_one_failure_does_not_stop_the_rest() -> None:
    running, most, done = 0, 0, 0

    async def work(item: int) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done += 1
        if item % 10 == 0:
            raise BadRequest("no")

    errors = await in_parallel(range(100), work, limit=8)
    assert (most, done, len(errors)) == (8, 100, 10)


async def test_a_creation_whose_answer_was_lost_is_not_done_twice() -> None:
    api = FakeApi()
    answers = iter([True, False])
    create = api.create

    async def create_then_break(obj: Pod) -> Pod:
        created = await create(obj)
        if next(answers):
            raise ConnectionError("reset after the request arrived")
        return created

    api.create = create_then_break  # type: ignore[method-assign]
    await create_surely(api, pod("p"), QuickClock())  # type: ignore[arg-type]
    assert len(api.all(Pod)) == 1
    assert len(api.requests) == 2


async def test_a_creation_that_the_server_fails_again_and_again_is_given_up() -> None:
    """As where a webhook of its namespace is broken: what other namespaces wait for must not wait for that."""
    api, tries = FakeApi(), 0

    async def fail(obj: Pod) -> Pod:
        nonlocal tries
        tries += 1
        raise InternalError("failed calling webhook")

    api.create = fail  # type: ignore[method-assign]
    with pytest.raises(InternalError):
        await create_surely(api, pod("p"), QuickClock())  # type: ignore[arg-type]
    assert tries == MOST_FAILURES


# The control loop


def running(api: FakeApi) -> Running:
    return Running(api, CONTROLLER)


async def test_it_makes_the_missing_pods_and_removes_the_surplus() -> None:
    api = FakeApi()
    controller = running(api)
    api.put(replica_set(12))
    await settle(api, controller)
    pods = api.all(Pod)
    assert len(pods) == 12
    assert {each.metadata.generateName for each in pods} == {"web-"}
    assert all(each.metadata.ownerReferences[0].controller for each in pods)
    assert api.find(ReplicaSet, "default/web").status.replicas == 12
    api.change(ReplicaSet, "default/web", lambda rs: setattr(rs.spec, "replicas", 5))
    await settle(api, controller)
    assert len(api.all(Pod)) == 5
    assert sum("SuccessfulCreate" in event for event in controller.recorder.events) == 12
    assert sum("SuccessfulDelete" in event for event in controller.recorder.events) == 7


async def test_a_cache_that_is_behind_does_not_make_it_create_twice() -> None:
    api = FakeApi()
    controller = running(api)
    api.put(replica_set(4))
    api.deliver()
    await controller.step()
    assert len(api.all(Pod)) == 4
    api.deliver(2)
    controller.queue.add("default/web")
    await controller.step()
    assert len(api.all(Pod)) == 4
    await settle(api, controller)
    assert len(api.all(Pod)) == 4


async def test_it_adopts_orphans_and_releases_what_no_longer_matches() -> None:
    api = FakeApi()
    controller = running(api)
    api.put(pod("orphan"))
    rs = api.put(replica_set(2))
    await settle(api, controller)
    assert api.find(Pod, "default/orphan").metadata.ownerReferences[0].uid == rs.metadata.uid
    assert len(api.all(Pod)) == 2
    api.change(Pod, "default/orphan", lambda each: setattr(each.metadata, "labels", {"app": "other"}))
    await settle(api, controller)
    assert not api.find(Pod, "default/orphan").metadata.ownerReferences
    assert len(api.all(Pod)) == 3


async def test_it_does_not_adopt_for_a_replica_set_that_is_being_deleted() -> None:
    api = FakeApi()
    controller = running(api)
    api.put(replica_set(1))
    api.deliver()
    api.put(pod("orphan"))
    api.change(ReplicaSet, "default/web", _mark_deleted)
    controller.api.deliver(1)
    await controller.step()
    assert not api.find(Pod, "default/orphan").metadata.ownerReferences


def _mark_deleted(obj: Any) -> None:
    obj.metadata.deletionTimestamp = format_time(NOW)
    obj.metadata.finalizers = ["foregroundDeletion"]


async def test_ended_pods_are_replaced() -> None:
    api = FakeApi()
    controller = running(api)
    api.put(replica_set(2))
    await settle(api, controller)
    first = api.all(Pod)[0].key
    api.change(Pod, first, lambda each: setattr(each.status, "phase", "Failed"))
    await settle(api, controller)
    assert len(api.all(Pod)) == 3
    assert api.find(ReplicaSet, "default/web").status.replicas == 2


async def test_a_refusal_is_told_and_tried_again_later() -> None:
    api = FakeApi()
    controller = running(api)

    def refuse(request: str) -> None:
        if request.startswith("POST pods"):
            raise BadRequest("exceeded quota")

    api.before = refuse
    api.put(replica_set(50))
    api.deliver()
    with pytest.raises(BadRequest):
        await controller.reconciler.reconcile("default/web")
    assert sum(request.startswith("POST pods") for request in api.requests) == 1
    status = api.find(ReplicaSet, "default/web").status
    assert status.conditions[0].reason == "FailedCreate"
    assert any("FailedCreate Error creating: exceeded quota" in event for event in controller.recorder.events)
    api.before = None
    await settle(api, controller)
    assert len(api.all(Pod)) == 50
    assert api.find(ReplicaSet, "default/web").status.conditions is None


@pytest.mark.parametrize("seed", range(15))
async def test_whatever_order_things_happen_in_there_are_never_too_many(seed: int) -> None:
    dice = random.Random(seed)
    api = FakeApi()
    controller = running(api)
    api.put(replica_set(6))

    def remove_a_pod() -> None:
        pods = api.all(Pod)
        if pods:
            api._remove(_pods_resource(), dice.choice(pods))

    actions: list[Callable[[], Any]] = [
        lambda: api.deliver(dice.randint(1, 4)),
        lambda: controller.queue.add("default/web"),
        remove_a_pod,
    ]
    for _ in range(150):
        dice.choices(actions, weights=[6, 3, 1])[0]()
        if controller.waiting:
            await controller.step()
        assert len(api.all(Pod)) <= 6
    await settle(api, controller)
    assert len(api.all(Pod)) == 6


def _pods_resource() -> Any:
    from apimachinery.resource import resource_of

    return resource_of(Pod)


def test_the_reference_to_the_owner_is_complete() -> None:
    rs = replica_set()
    rs.metadata.uid = "u"
    reference = owner_reference(rs)
    assert reference.model_dump() == {
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u", "controller": True,
        "blockOwnerDeletion": True,
    }  # fmt: skip
