"""PodDisruptionBudgets: how many pods may go, and who counts as healthy."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.conditions import get_condition
from apimachinery.meta import ObjectMeta, OwnerReference
from apimachinery.times import format_time
from controller_manager.controllers.workloads._budgetstatus import DELETION_SECONDS, compute
from controller_manager.controllers.workloads.disruption import CONTROLLER
from kubeapi.apps.deployment import Deployment
from kubeapi.apps.replicaset import ReplicaSet
from kubeapi.core.pod.model import Pod
from kubeapi.policy.poddisruptionbudget import DISRUPTION_ALLOWED, PodDisruptionBudget
from tests.fakes.api import FakeApi, Running, settle
from tests.fakes.clock import FakeClock

NOW = FakeClock().now()


def budget(**spec: Any) -> PodDisruptionBudget:
    selector = {"matchLabels": {"app": "a"}}
    metadata = {"name": "b", "namespace": "n", "generation": 2}
    return PodDisruptionBudget.model_validate({"metadata": metadata, "spec": {"selector": selector, **spec}})


def pod(name: str, *, ready: bool = True, going: bool = False, owner: tuple[str, str] | None = None) -> Pod:
    """`owner` is the kind and name of the pod's controller."""
    meta = ObjectMeta(name=name, namespace="n", labels={"app": "a"})
    meta.deletionTimestamp = format_time(NOW) if going else None
    if owner is not None:
        kind, of = owner
        api_version = "v1" if kind == "ReplicationController" else "apps/v1"
        meta.ownerReferences = [
            OwnerReference(apiVersion=api_version, kind=kind, name=of, uid=f"uid-{of}", controller=True)
        ]
    conditions = [{"type": "Ready", "status": str(ready)}]
    made = Pod.model_validate(
        {"metadata": {"name": name}, "spec": {"containers": []}, "status": {"conditions": conditions}}
    )
    made.metadata = meta
    return made


READY = [pod(f"p{number}") for number in range(4)]


@pytest.mark.parametrize(
    ("spec", "pods", "wanted", "expected", "desired", "allowed"),
    [
        ({"minAvailable": 1}, READY, 0, 4, 1, 3),
        ({"minAvailable": 5}, READY, 0, 4, 5, 0),
        ({"minAvailable": "50%"}, READY, 4, 4, 2, 2),
        ({"minAvailable": "51%"}, READY, 4, 4, 3, 1),
        ({"maxUnavailable": 1}, READY, 4, 4, 3, 1),
        ({"maxUnavailable": "34%"}, READY, 4, 4, 2, 2),
        ({"maxUnavailable": "100%"}, READY, 4, 4, 0, 4),
        ({"maxUnavailable": 9}, READY, 4, 4, 0, 4),
        ({"maxUnavailable": 1}, READY[:3], 4, 4, 3, 0),
        ({"maxUnavailable": 1}, [pod("bare")], 0, 0, 0, 0),
        ({}, READY, 0, 4, 0, 4),
    ],
)
def test_what_may_go(
    spec: dict[str, Any], pods: list[Pod], wanted: int, expected: int, desired: int, allowed: int
) -> None:
    status = compute(budget(**spec), pods, wanted, NOW).status
    assert (status.expectedPods, status.desiredHealthy, status.disruptionsAllowed) == (expected, desired, allowed)
    condition = get_condition(status.conditions, DISRUPTION_ALLOWED)
    assert condition is not None
    reason = "SufficientPods" if allowed else "InsufficientPods"
    assert (condition.status, condition.reason, condition.observedGeneration) == (str(allowed > 0), reason, 2)


def test_only_ready_pods_that_stay_are_healthy() -> None:
    pods = [pod("ready"), pod("not-ready", ready=False), pod("going", going=True), pod("evicted")]
    spent = budget(minAvailable=1)
    spent.status.disruptedPods = {name: format_time(NOW - 20) for name in ("going", "evicted", "gone")}
    outcome = compute(spent, pods, 0, NOW)
    assert outcome.status.currentHealthy == 1
    assert set(outcome.status.disruptedPods or {}) == {"evicted"}
    assert outcome.wait_seconds == DELETION_SECONDS - 20


def test_a_pod_that_nobody_deleted_counts_again() -> None:
    spent = budget(minAvailable=0)
    spent.status.disruptedPods = {"p": format_time(NOW - DELETION_SECONDS - 1)}
    outcome = compute(spent, [pod("p")], 0, NOW)
    assert (outcome.status.currentHealthy, outcome.status.disruptedPods) == (1, None)
    assert [each.name for each in outcome.not_deleted] == ["p"]


async def reconciled(
    spec: dict[str, Any], pods: list[Pod], *owners: ReplicaSet | Deployment
) -> tuple[PodDisruptionBudget, set[str]]:
    """Returns the budget and the reasons of events."""
    api = FakeApi(FakeClock())
    for obj in (*owners, *pods):
        api.put(obj)
    api.put(budget(**spec))
    controller = Running(api, CONTROLLER)
    await settle(api, controller)
    return api.find(PodDisruptionBudget, "n/b"), {event.split()[1] for event in controller.recorder.events}


async def test_a_deployment_says_how_many_pods_are_wanted() -> None:
    deployment = Deployment.model_validate(
        {"metadata": {"name": "d", "namespace": "n", "uid": "uid-d"}, "spec": {"replicas": 5}}
    )
    reference = OwnerReference(apiVersion="apps/v1", kind="Deployment", name="d", uid="uid-d", controller=True)
    meta = ObjectMeta(name="r", namespace="n", uid="uid-r", ownerReferences=[reference])
    found, _ = await reconciled(
        {"maxUnavailable": 2},
        [pod(f"p{number}", owner=("ReplicaSet", "r")) for number in range(4)],
        deployment,
        ReplicaSet(metadata=meta),
    )
    status = found.status
    assert (status.expectedPods, status.desiredHealthy, status.disruptionsAllowed) == (5, 3, 1)


async def test_pods_of_controllers_without_a_scale_let_nothing_go() -> None:
    found, reasons = await reconciled({"maxUnavailable": 1}, [pod("p", owner=("DaemonSet", "d"))])
    condition = get_condition(found.status.conditions, DISRUPTION_ALLOWED)
    assert condition is not None
    assert (found.status.disruptionsAllowed, condition.reason) == (0, "SyncFailed")
    assert condition.message == "daemonsets.apps does not implement the scale subresource"
    assert reasons == {"CalculateExpectedPodCountFailed"}


async def test_pods_that_nobody_manages_are_told_of() -> None:
    _, reasons = await reconciled({"minAvailable": "50%"}, [pod("p")])
    assert reasons == {"UnmanagedPods"}


async def test_a_budget_without_pods_is_told_of() -> None:
    assert (await reconciled({"minAvailable": 1}, []))[1] == {"NoPods"}
