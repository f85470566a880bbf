"""In-place resize: what a node grants, how it gets to the containers, and what the pod's status says of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apimachinery.conditions import get_condition
from apimachinery.model import from_dict, to_dict
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container, ResourceRequirements
from kubeapi.core.pod.status import ContainerStatus, PodCondition
from kubelet.container.backoff import KeyedBackoff
from kubelet.pod.actions import PodActions, Update, compute_actions
from kubelet.pod.allocation import (
    IN_PROGRESS,
    PENDING,
    Refusal,
    change_of,
    event_message,
    granted_pod,
    recalled_allocation,
)
from kubelet.pod.resources.admission import resize_refusal
from kubelet.probe.state import Verdicts
from kubelet.runtime.configs import Resources
from kubelet.runtime.docker.bodies import update_arguments
from tests.kits.eventually import eventually_async
from tests.kits.node.kubelet import NOW, container, make_pod, runtime_status
from tests.kits.node.kubeletbench import Bench

MEBI = 1024 * 1024
SMALL = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}}
LARGE = {"requests": {"cpu": "300m", "memory": "64Mi"}, "limits": {"cpu": "400m", "memory": "256Mi"}}
RESTART = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]


def resources(value: dict[str, Any]) -> ResourceRequirements:
    return from_dict(ResourceRequirements, value)


def app(value: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "app", "image": "app:1", "resources": value, **fields}]}


def sized(value: dict[str, Any], *, generation: int = 1, **fields: Any) -> Pod:
    return make_pod(app(value, **fields), generation=generation)


def node(**allocatable: str) -> Node:
    return from_dict(Node, {"metadata": {"name": "worker-1"}, "status": {"allocatable": {"pods": "9"} | allocatable}})


# What to do


@pytest.mark.parametrize(
    ("policy", "before", "change"),
    [
        ([], SMALL, "none"),
        ([], LARGE, "update"),
        (RESTART, LARGE, "restart"),
        (RESTART, SMALL | {"requests": {"cpu": "1m", "memory": "64Mi"}}, "update"),
        (RESTART, SMALL | {"requests": {"cpu": "100m", "memory": "1Mi"}}, "restart"),
        (RESTART, None, "update"),
    ],
)
def test_what_it_takes(policy: list[dict[str, str]], before: dict[str, Any] | None, change: str) -> None:
    wanted = from_dict(Container, {"name": "app", "resources": SMALL, "resizePolicy": policy})
    assert change_of(wanted, None if before is None else resources(before)) == change


def actions(pod: Pod, before: dict[str, Any], *containers: Any) -> PodActions:
    given = {"now": NOW, "verdicts": Verdicts(), "backoff": KeyedBackoff(), "actuated": {"app-0": resources(before)}}
    return compute_actions(pod, runtime_status(*containers), **given)  # type: ignore[arg-type]


def test_a_container_is_updated_as_it_runs() -> None:
    assert actions(sized(LARGE), SMALL, container()) == PodActions(update=(Update("app", "app-0"),))
    assert actions(sized(SMALL), SMALL, container()) == PodActions()


def test_a_container_restarts_where_its_policy_says_so() -> None:
    result = actions(sized(LARGE, resizePolicy=RESTART), SMALL, container())
    assert [(kill.reason, kill.message) for kill in result.kill] == [
        ("resize", "Container app resize requires restart")
    ]
    assert [(start.name, start.attempt) for start in result.start] == [("app", 1)]
    assert result.update == ()


def test_a_sidecar_is_updated_and_another_init_container_is_not() -> None:
    init = [
        {"name": "first", "image": "app:1", "resources": LARGE},
        {"name": "side", "image": "app:1", "restartPolicy": "Always", "resources": LARGE},
    ]
    pod = make_pod({"initContainers": init})
    first, side = container("first", "exited", kind="init"), container("side", kind="init")
    actuated = {"first-0": resources(SMALL), "side-0": resources(SMALL), "app-0": ResourceRequirements()}
    status = runtime_status(first, side, container())
    result = compute_actions(pod, status, now=NOW, verdicts=Verdicts(), backoff=KeyedBackoff(), actuated=actuated)
    assert result == PodActions(update=(Update("side", "side-0"),))


def test_nothing_that_does_not_run_is_updated() -> None:
    result = actions(sized(LARGE), SMALL, container(state="exited", exit_code=1))
    assert (result.update, [start.attempt for start in result.start]) == ((), [1])


# What is granted


def test_what_a_node_can_never_give_is_infeasible() -> None:
    pod, small = sized(LARGE, generation=7), node(cpu="200m", memory="1Gi")
    message = "Node didn't have enough capacity: cpu, requested: 300, capacity: 200"
    assert resize_refusal(pod, [], small) == Refusal("Infeasible", message, 7)


def test_what_others_hold_is_deferred() -> None:
    pod, full = sized(LARGE, generation=7), node(cpu="400m", memory="1Gi")
    other = make_pod(app({"requests": {"cpu": "150m"}}), uid="uid-2", name="other")
    message = "Node didn't have enough resource: cpu, requested: 300, used: 150, capacity: 400"
    assert resize_refusal(pod, [pod, other], full) == Refusal("Deferred", message, 7)
    assert resize_refusal(pod, [pod], full) is None


def test_another_pod_counts_with_what_it_still_runs_with() -> None:
    status = ContainerStatus(name="app", resources=resources({"requests": {"cpu": "350m"}}))
    other = make_pod(app({"requests": {"cpu": "10m"}}), uid="uid-2", name="other")
    other.status.containerStatuses = [status]
    refusal = resize_refusal(sized(LARGE), [other], node(cpu="400m", memory="1Gi"))
    assert refusal is not None
    assert "used: 350" in refusal.message


def test_a_restarted_kubelet_recalls_what_was_granted_and_what_was_not() -> None:
    pod = sized(LARGE, generation=3)
    actual = resources(SMALL)
    requests = {"cpu": "150m", "memory": "64Mi"}
    pod.status.containerStatuses = [
        ContainerStatus(name="app", containerID="docker://app-0", resources=actual, allocatedResources=requests)
    ]
    pod.status.conditions = [
        PodCondition(type=PENDING, status="True", reason="Deferred", message="full", observedGeneration=3),
        PodCondition(type=IN_PROGRESS, status="True", reason="Error", message="used", observedGeneration=2),
    ]
    found = recalled_allocation(pod)
    assert found.actuated == {"app-0": actual}
    assert found.refusal == Refusal("Deferred", "full", 3)
    assert (found.in_progress, found.generation, found.error) == (True, 2, "used")
    assert to_dict(granted_pod(pod, found.granted).spec.containers[0].resources) == SMALL | {"requests": requests}
    assert to_dict(pod.spec.containers[0].resources) == LARGE


def test_events_show_all_resources() -> None:
    text = event_message("Deferred", sized(SMALL), 2, "full")
    what, _, summary = text.partition(": ")
    assert what == "Pod resize Deferred"
    assert summary == (
        '{"containers":[{"name":"app","resources":{"limits":{"cpu":"200m","memory":"128Mi"},'
        '"requests":{"cpu":"100m","memory":"64Mi"}}}],"generation":2,"error":"full"}'
    )


def test_memory_and_swap_are_changed_together() -> None:
    asked = Resources(cpu_shares=102, cpu_quota_us=20_000, cpu_period_us=100_000, memory_limit_bytes=5)
    assert update_arguments(asked) == {
        "cpu_shares": 102,
        "cpu_quota": 20_000,
        "cpu_period": 100_000,
        "mem_limit": 5,
        "memswap_limit": 5,
    }
    assert update_arguments(Resources(cpu_shares=2)) == {"cpu_shares": 2}


# On a node


def resize(bench: Bench, value: dict[str, Any], **fields: Any) -> None:
    document = to_dict(bench.api.get())
    document["spec"] |= app(value, **fields)
    document["metadata"]["generation"] = document["metadata"].get("generation", 1) + 1
    bench.api.put(from_dict(Pod, document))


def status_of(bench: Bench) -> ContainerStatus:
    return (bench.api.get().status.containerStatuses or [ContainerStatus()])[0]


def condition(bench: Bench, kind: str) -> PodCondition | None:
    return get_condition(bench.api.get().status.conditions, kind)


def reported(bench: Bench) -> dict[str, Any]:
    found = status_of(bench).resources
    return to_dict(found) if found is not None else {}


def limits(bench: Bench) -> tuple[int, int, int]:
    """CPU shares, CPU quota and memory limit (MiB) of what runs."""
    found = bench.runtime.find("uid-1", "app").config.resources
    return found.cpu_shares, found.cpu_quota_us, found.memory_limit_bytes // MEBI


async def started(bench: Bench, value: dict[str, Any], **fields: Any) -> None:
    bench.node = node(cpu="1", memory="1Gi")
    bench.add(app(value, **fields), generation=1)
    await eventually_async(lambda: bench.running() and status_of(bench).state.running is not None)


async def test_more_is_given_to_a_container_as_it_runs(bench: Bench) -> None:
    await started(bench, SMALL)
    assert (reported(bench), limits(bench)) == (SMALL, (102, 20_000, 128))
    resize(bench, LARGE)
    await eventually_async(lambda: reported(bench) == LARGE)
    assert (limits(bench), status_of(bench).restartCount) == ((307, 40_000, 256), 0)
    assert status_of(bench).allocatedResources == LARGE["requests"]
    await eventually_async(lambda: condition(bench, IN_PROGRESS) is None)
    assert bench.reasons()[-2:] == ["ResizeStarted", "ResizeCompleted"]
    assert json.loads(bench.events[-1][1].partition(": ")[2])["generation"] == 2
    assert bench.api.get().status.observedGeneration == 2


async def test_a_container_that_must_is_restarted_with_more(bench: Bench) -> None:
    await started(bench, SMALL, resizePolicy=RESTART)
    resize(bench, LARGE, resizePolicy=RESTART)
    await eventually_async(lambda: status_of(bench).restartCount == 1 and reported(bench) == LARGE)
    assert limits(bench) == (307, 40_000, 256)
    assert ("Killing", "Container app resize requires restart") in bench.events
    assert not any(call.startswith("update_container") for call in bench.runtime.calls)


async def test_what_does_not_fit_waits_for_room(bench: Bench) -> None:
    await started(bench, SMALL)
    bench.add(app({"requests": {"cpu": "800m"}}), name="big", uid="uid-2")
    await eventually_async(lambda: bench.running(uid="uid-2"))
    resize(bench, LARGE)
    await eventually_async(lambda: condition(bench, PENDING) is not None)
    found = condition(bench, PENDING)
    assert found is not None
    assert (found.reason, found.observedGeneration) == ("Deferred", 2)
    assert found.message == "Node didn't have enough resource: cpu, requested: 300, used: 800, capacity: 1000"
    assert (limits(bench)[2], status_of(bench).allocatedResources) == (128, SMALL["requests"])
    await bench.clock.advance(30)
    assert bench.reasons().count("ResizeDeferred") == 1
    bench.api.remove("big")
    for _ in range(40):
        await bench.clock.advance(1)
    await eventually_async(lambda: reported(bench) == LARGE and condition(bench, PENDING) is None)


async def test_what_can_never_be_is_said_once_and_may_be_taken_back(bench: Bench) -> None:
    await started(bench, SMALL)
    resize(bench, LARGE | {"requests": {"cpu": "2", "memory": "64Mi"}, "limits": {"cpu": "2", "memory": "128Mi"}})
    await eventually_async(lambda: condition(bench, PENDING) is not None)
    found = condition(bench, PENDING)
    assert found is not None
    assert found.reason == "Infeasible"
    assert "ResizeInfeasible" in bench.reasons()
    assert reported(bench) == SMALL
    resize(bench, SMALL)
    await eventually_async(lambda: condition(bench, PENDING) is None)
    assert "ResizeStarted" not in bench.reasons()


async def test_a_limit_below_what_is_used_is_tried_again_until_it_fits(bench: Bench) -> None:
    await started(bench, LARGE)
    bench.runtime.used_memory = 200 * MEBI
    resize(bench, SMALL)
    await eventually_async(lambda: (condition(bench, IN_PROGRESS) or PodCondition()).reason == "Error")
    found = condition(bench, IN_PROGRESS)
    assert found is not None
    assert found.message == (
        'cannot decrease memory limits: attempting to set container "app" memory limit (134217728) below current '
        "usage (209715200)"
    )
    assert (reported(bench), status_of(bench).allocatedResources) == (LARGE, SMALL["requests"])
    await bench.kill()
    bench.runtime.used_memory = 10 * MEBI
    bench.start()
    await eventually_async(lambda: reported(bench) == SMALL)
    await eventually_async(lambda: condition(bench, IN_PROGRESS) is None)
    assert limits(bench) == (102, 20_000, 128)
    assert bench.reasons().count("ResizeError") == 1


async def test_a_crashed_container_starts_with_what_was_granted(bench: Bench) -> None:
    await started(bench, SMALL)
    bench.node = node(cpu="150m", memory="1Gi")
    resize(bench, LARGE)
    await eventually_async(lambda: condition(bench, PENDING) is not None)
    bench.runtime.exit(bench.runtime.find("uid-1", "app").status.id, 1)
    await eventually_async(lambda: status_of(bench).restartCount == 1 and bench.running())
    assert limits(bench) == (102, 20_000, 128)


async def test_a_node_that_lost_its_containers_takes_the_pod_with_what_was_granted(bench: Bench) -> None:
    """What the pod asks for by now would be refused, and with it the whole pod."""

    await started(bench, SMALL)
    resize(bench, {"requests": {"cpu": "2", "memory": "64Mi"}, "limits": {"cpu": "2", "memory": "128Mi"}})
    await eventually_async(lambda: condition(bench, PENDING) is not None)
    await bench.kill()
    bench.runtime.containers.clear()
    bench.runtime.sandboxes.clear()
    bench.start()
    await eventually_async(bench.running)
    assert limits(bench) == (102, 20_000, 128)
    assert bench.api.get().status.phase in ("Pending", "Running")
    assert (condition(bench, PENDING) or PodCondition()).reason == "Infeasible"
