"""StatefulSets: the order of pods, updates from the last to the first, and what becomes of claims."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.meta import ObjectMeta
from apimachinery.times import format_time
from controller_manager.controllers.workloads.statefulset._plan import Plan, Revision, count, make_plan
from controller_manager.controllers.workloads.statefulset._pods import (
    REVISION_LABEL,
    new_claims,
    new_pod,
    ordinal_of,
    with_identity,
    with_owners,
)
from controller_manager.controllers.workloads.statefulset.statefulset import CONTROLLER
from kubeapi.apps.controllerrevision import ControllerRevision
from kubeapi.apps.statefulset import RESOURCE, StatefulSet
from kubeapi.core.persistentvolumeclaim.model import PersistentVolumeClaim
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.template import PodTemplateSpec
from tests.fakes.api import FakeApi, Running, settle
from tests.fakes.clock import FakeClock

NOW = FakeClock().now()
TEMPLATE = PodTemplateSpec.model_validate(
    {"metadata": {"labels": {"app": "s"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
)
OLD, NEW = Revision("s-old", TEMPLATE), Revision("s-new", TEMPLATE)
CLAIM = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}


def stateful_set(replicas: int = 3, **spec: Any) -> StatefulSet:
    obj = StatefulSet.model_validate(
        {
            "metadata": {"name": "s", "namespace": "a", "uid": "u", "generation": 1},
            "spec": {
                "replicas": replicas,
                "serviceName": "svc",
                "selector": {"matchLabels": {"app": "s"}},
                "template": TEMPLATE.model_dump(exclude_none=True),
                **spec,
            },
        }
    )
    RESOURCE.strategy.default(obj)
    return obj


def pod(
    ordinal: int,
    revision: Revision = NEW,
    *,
    owner: StatefulSet | None = None,
    phase: str = "Running",
    ready: float | None = 100,
    going: bool = False,
) -> Pod:
    """`ready`: for so many seconds; None: is not ready."""
    made = new_pod(owner or stateful_set(), TEMPLATE, revision.name, ordinal)
    made.metadata.deletionTimestamp = format_time(NOW) if going else None
    status: dict[str, Any] = {"phase": phase, "conditions": []}
    if ready is not None and phase == "Running":
        since = format_time(NOW - ready)
        status["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
    made.status = Pod.model_validate({"metadata": {"name": "x"}, "spec": {"containers": []}, "status": status}).status
    return made


def planned(owner: StatefulSet, pods: list[Pod], current: Revision = NEW) -> tuple[list[str], list[str]]:
    plan = make_plan(owner, pods, current, NEW, NOW)
    return names(plan.create), names(plan.recreate + plan.delete)


def names(pods: list[Pod]) -> list[str]:
    return [each.name for each in pods]


@pytest.mark.parametrize(
    ("pods", "created"),
    [
        ([], ["s-0"]),
        ([pod(0)], ["s-1"]),
        ([pod(0, ready=None)], []),
        ([pod(0, going=True)], []),
        ([pod(0, phase="Pending")], []),
        ([pod(0), pod(2)], ["s-1"]),
        ([pod(0), pod(1), pod(2)], []),
    ],
)
def test_each_pod_waits_for_the_one_before_it(pods: list[Pod], created: list[str]) -> None:
    assert planned(stateful_set(), pods) == (created, [])


def test_without_order_all_come_at_once() -> None:
    owner = stateful_set(podManagementPolicy="Parallel", ordinals={"start": 5})
    assert planned(owner, [pod(6, ready=None)]) == (["s-5", "s-7"], [])


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_has_ended_is_made_anew(phase: str) -> None:
    assert planned(stateful_set(), [pod(0), pod(1, phase=phase)]) == ([], ["s-1"])
    assert planned(stateful_set(), [pod(0), pod(1, phase=phase, going=True)]) == ([], [])


def test_pods_must_be_ready_for_long_enough() -> None:
    owner = stateful_set(minReadySeconds=60)
    plan = make_plan(owner, [pod(0, ready=20)], NEW, NEW, NOW)
    assert (plan.create, plan.wait_seconds) == ([], 40)


@pytest.mark.parametrize(
    ("pods", "deleted"),
    [
        ([pod(0), pod(1), pod(2)], ["s-2"]),
        ([pod(0), pod(1), pod(2, going=True)], []),
        ([pod(0), pod(1), pod(2, ready=None)], ["s-2"]),
        ([pod(0), pod(1, ready=None), pod(2, ready=None)], []),
        ([pod(0, ready=None), pod(1), pod(2)], []),
    ],
)
def test_scaling_down_takes_the_last_pod_first(pods: list[Pod], deleted: list[str]) -> None:
    assert planned(stateful_set(1), pods) == ([], deleted)


def test_without_order_all_surplus_pods_go_at_once() -> None:
    owner = stateful_set(1, podManagementPolicy="Parallel")
    assert planned(owner, [pod(0, ready=None), pod(1), pod(2, ready=None)]) == ([], ["s-2", "s-1"])


def rolling(**members: Any) -> dict[str, Any]:
    return {"type": "RollingUpdate", "rollingUpdate": members}


@pytest.mark.parametrize(
    ("strategy", "pods", "deleted"),
    [
        (rolling(), [pod(0, OLD), pod(1, OLD), pod(2, OLD)], ["s-2"]),
        (rolling(), [pod(0, OLD), pod(1, OLD), pod(2, NEW)], ["s-1"]),
        (rolling(), [pod(0, OLD), pod(1, OLD), pod(2, NEW, ready=None)], []),
        (rolling(partition=2), [pod(0, OLD), pod(1, OLD), pod(2, NEW)], []),
        (rolling(partition=9), [pod(0, OLD), pod(1, OLD), pod(2, OLD)], []),
        (rolling(maxUnavailable=2), [pod(0, OLD), pod(1, OLD), pod(2, OLD)], ["s-2", "s-1"]),
        (rolling(maxUnavailable="34%"), [pod(0, OLD), pod(1, OLD), pod(2, OLD)], ["s-2", "s-1"]),
        ({"type": "OnDelete"}, [pod(0, OLD), pod(1, OLD), pod(2, OLD)], []),
    ],
)
def test_an_update_goes_from_the_last_pod_to_the_first(
    strategy: dict[str, Any], pods: list[Pod], deleted: list[str]
) -> None:
    assert planned(stateful_set(updateStrategy=strategy), pods, OLD) == ([], deleted)


def test_with_several_unavailable_no_more_go_than_allowed() -> None:
    owner = stateful_set(4, podManagementPolicy="Parallel", updateStrategy=rolling(maxUnavailable=2))
    busy = [pod(0, OLD), pod(1, OLD), pod(2, OLD), pod(3, NEW, ready=None)]
    assert planned(owner, busy, OLD) == ([], ["s-2"])


def test_a_broken_pod_keeps_an_ordered_update_waiting() -> None:
    """As documented: someone has to delete it."""
    assert planned(stateful_set(), [pod(0, OLD, ready=None)], OLD) == ([], [])
    assert planned(stateful_set(), [], OLD)[0] == ["s-0"]


@pytest.mark.parametrize(("ordinal", "revision"), [(0, "s-old"), (1, "s-new")])
def test_a_new_pod_below_the_partition_has_the_old_template(ordinal: int, revision: str) -> None:
    owner = stateful_set(updateStrategy=rolling(partition=1))
    others = [pod(each, OLD) for each in range(3) if each != ordinal]
    (made,) = make_plan(owner, others, OLD, NEW, NOW).create
    assert made.labels[REVISION_LABEL] == revision


def test_the_status_moves_to_the_new_revision_once_all_have_it() -> None:
    owner = stateful_set(2)
    mixed = count(owner, [pod(0, OLD), pod(1)], "s-old", "s-new", None, NOW)
    assert (mixed.currentReplicas, mixed.updatedReplicas, mixed.currentRevision) == (1, 1, "s-old")
    done = count(owner, [pod(0), pod(1)], "s-old", "s-new", None, NOW)
    assert (done.currentReplicas, done.currentRevision, done.readyReplicas) == (2, "s-new", 2)


# Identity and claims


@pytest.mark.parametrize(("name", "ordinal"), [("s-0", 0), ("s-12", 12), ("s", -1), ("x-0", -1), ("s-a", -1)])
def test_the_number_is_that_of_the_name(name: str, ordinal: int) -> None:
    assert ordinal_of(stateful_set(), Pod(metadata=ObjectMeta(name=name))) == ordinal


def test_a_pod_that_lost_its_identity_gets_it_back() -> None:
    owner = stateful_set(volumeClaimTemplates=[CLAIM])
    whole = pod(1, owner=owner)
    assert with_identity(whole, owner, 1) is whole
    assert (whole.spec.hostname, whole.spec.subdomain) == ("s-1", "svc")
    bare = whole.clone()
    bare.metadata.labels = {"app": "s", REVISION_LABEL: NEW.name}
    assert with_identity(bare, owner, 1).labels == whole.labels


@pytest.mark.parametrize(
    ("when_deleted", "when_scaled", "condemned", "owners"),
    [
        ("Retain", "Retain", False, []),
        ("Retain", "Retain", True, []),
        ("Delete", "Retain", False, ["StatefulSet"]),
        ("Delete", "Retain", True, ["StatefulSet"]),
        ("Retain", "Delete", False, []),
        ("Retain", "Delete", True, ["Pod"]),
        ("Delete", "Delete", False, ["StatefulSet"]),
        ("Delete", "Delete", True, ["Pod"]),
    ],
)
def test_claims_go_with_the_set_or_the_pod(
    when_deleted: str, when_scaled: str, condemned: bool, owners: list[str]
) -> None:
    policy = {"whenDeleted": when_deleted, "whenScaled": when_scaled}
    owner = stateful_set(volumeClaimTemplates=[CLAIM], persistentVolumeClaimRetentionPolicy=policy)
    (claim,) = new_claims(owner, 0)
    assert claim.name == "data-s-0"
    refs = with_owners(claim, owner, pod(0, owner=owner), condemned=condemned)
    assert [ref.kind for ref in refs] == owners


# The controller


def put_ready(api: FakeApi, key: str) -> None:
    ready = pod(0).status
    api.change(Pod, key, lambda each: setattr(each, "status", ready))


async def test_pods_come_one_after_the_other_with_their_claims() -> None:
    api = FakeApi(FakeClock())
    api.put(stateful_set(2, volumeClaimTemplates=[CLAIM]))
    controller = Running(api, CONTROLLER)
    await settle(api, controller)
    assert (names(api.all(Pod)), names(api.all(PersistentVolumeClaim))) == (["s-0"], ["data-s-0"])
    put_ready(api, "a/s-0")
    await settle(api, controller)
    assert sorted(names(api.all(Pod))) == ["s-0", "s-1"]
    put_ready(api, "a/s-1")
    await settle(api, controller)
    (revision,) = api.all(ControllerRevision)
    status = api.find(StatefulSet, "a/s").status
    assert (status.readyReplicas, status.currentRevision) == (2, revision.name)
    assert {each.labels[REVISION_LABEL] for each in api.all(Pod)} == {revision.name}


async def test_a_repaired_template_reaches_a_broken_pod_once_someone_deletes_it() -> None:
    api = FakeApi(FakeClock())
    api.put(stateful_set(2))
    controller = Running(api, CONTROLLER)
    await settle(api, controller)  # s-0 never becomes ready

    def repair(each: StatefulSet) -> None:
        each.spec.template.spec.containers[0].image = "repaired"
        each.metadata.generation = 2

    broken = api.find(Pod, "a/s-0").metadata.uid
    api.change(StatefulSet, "a/s", repair)
    await settle(api, controller)
    assert [each.metadata.uid for each in api.all(Pod)] == [broken]
    status = api.find(StatefulSet, "a/s").status
    assert status.currentRevision != status.updateRevision
    await api.delete(Pod, "s-0", "a")
    await settle(api, controller)
    for name in ("s-0", "s-1"):
        put_ready(api, f"a/{name}")
        await settle(api, controller)
    assert {each.spec.containers[0].image for each in api.all(Pod)} == {"repaired"}
    status = api.find(StatefulSet, "a/s").status
    assert (status.readyReplicas, status.currentRevision) == (2, status.updateRevision)


async def test_a_claim_that_goes_with_an_earlier_pod_is_waited_for() -> None:
    api = FakeApi(FakeClock())
    owner = stateful_set(1, volumeClaimTemplates=[CLAIM])
    (claim,) = new_claims(owner, 0)
    earlier = pod(0, owner=owner)
    earlier.metadata.uid = "earlier"
    policy = {"whenScaled": "Delete"}
    scaled = stateful_set(volumeClaimTemplates=[CLAIM], persistentVolumeClaimRetentionPolicy=policy)
    claim.metadata.ownerReferences = with_owners(claim, scaled, earlier, condemned=True)
    api.put(claim)
    api.put(owner)
    controller = Running(api, CONTROLLER)
    await settle(api, controller)
    assert api.all(Pod) == []
    assert controller.delays["a/s"] > 0


def test_nothing_to_do_is_an_empty_plan() -> None:
    assert make_plan(stateful_set(1), [pod(0)], NEW, NEW, NOW) == Plan()
