"""DaemonSets: which nodes get a pod, which pods go, how an update moves on, and what the status counts."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.errors import Forbidden
from apimachinery.meta import ObjectMeta
from apimachinery.times import format_time
from controller_manager.controllers.workloads._history import HASH_LABEL
from controller_manager.controllers.workloads.daemonset._placement import (
    bound_to,
    by_node,
    fitting,
    plan_placement,
    target_node,
)
from controller_manager.controllers.workloads.daemonset._rollout import count, plan_rollout
from controller_manager.controllers.workloads.daemonset.daemonset import CONTROLLER
from kubeapi.apps.controllerrevision import ControllerRevision
from kubeapi.apps.daemonset import RESOURCE, TEMPLATE_GENERATION, DaemonSet
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.scheduling.nodeselection import required_terms
from tests.fakes.api import FakeApi, Running, settle
from tests.fakes.clock import FakeClock

NOW = FakeClock().now()
NEW, OLD = "new", "old"


def daemon_set(spec: dict[str, Any] | None = None, **update: int | str) -> DaemonSet:
    """`spec` is the pod's beside its container; `update` is `maxSurge` or `maxUnavailable`."""
    obj = DaemonSet.model_validate(
        {
            "metadata": {"name": "d", "namespace": "a", "uid": "u", "generation": 2},
            "spec": {
                "selector": {"matchLabels": {"app": "d"}},
                "template": {
                    "metadata": {"labels": {"app": "d"}},
                    "spec": {"containers": [{"name": "c", "image": "i"}], **(spec or {})},
                },
                "updateStrategy": {"rollingUpdate": update} if update else {},
            },
        }
    )
    RESOURCE.strategy.default(obj)
    obj.metadata.annotations = {TEMPLATE_GENERATION: "2"}
    return obj


def node(name: str, *, labels: dict[str, str] | None = None, **taints: str) -> Node:
    """`taints` are effects by key."""
    listed = [{"key": key, "effect": effect} for key, effect in taints.items()]
    return Node.model_validate({"metadata": {"name": name, "labels": labels}, "spec": {"taints": listed}})


def pod(on: str, digest: str = NEW, *, phase: str = "Running", age: float = 0, ready: float | None = 100) -> Pod:
    """A scheduled pod that has been ready for so many seconds; None: is not ready."""
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": format_time(NOW - (ready or 0))}
    return Pod.model_validate(
        {
            "metadata": {
                "name": f"d-{on}-{digest}-{age:g}",
                "namespace": "a",
                "labels": {"app": "d", HASH_LABEL: digest},
                "creationTimestamp": format_time(NOW - age),
            },
            "spec": {"containers": [], "nodeName": on},
            "status": {"phase": phase, "conditions": [condition] if ready is not None else []},
        }
    )


def going(each: Pod) -> Pod:
    each.metadata.deletionTimestamp = format_time(NOW)
    return each


@pytest.mark.parametrize(
    ("spec", "where", "new", "running"),
    [
        ({}, node("a"), True, True),
        ({}, node("a", x="NoSchedule"), False, True),
        ({}, node("a", x="NoExecute"), False, False),
        ({}, node("a", x="PreferNoSchedule"), True, True),
        ({"tolerations": [{"key": "x", "operator": "Exists"}]}, node("a", x="NoExecute"), True, True),
        ({"nodeSelector": {"disk": "ssd"}}, node("a"), False, False),
        ({"nodeSelector": {"disk": "ssd"}}, node("a", labels={"disk": "ssd"}), True, True),
        ({"nodeName": "b"}, node("a"), False, False),
        ({"nodeName": "a"}, node("a"), True, True),
    ],
)
def test_a_node_fits(spec: dict[str, Any], where: Node, new: bool, running: bool) -> None:
    assert fitting(daemon_set(spec).spec.template.spec)(where) == (new, running)


@pytest.mark.parametrize("condition", ["not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure"])
def test_nodes_in_trouble_keep_their_pods(condition: str) -> None:
    effect = "NoExecute" if condition in ("not-ready", "unreachable") else "NoSchedule"
    troubled = node("a", **{f"node.kubernetes.io/{condition}": effect})
    assert fitting(daemon_set().spec.template.spec)(troubled) == (True, True)


def test_only_pods_on_the_host_network_run_without_a_network() -> None:
    cut_off = node("a", **{"node.kubernetes.io/network-unavailable": "NoSchedule"})
    assert not fitting(daemon_set().spec.template.spec)(cut_off).new
    assert fitting(daemon_set({"hostNetwork": True}).spec.template.spec)(cut_off).new


def test_a_pod_is_made_for_one_node_whatever_its_template_prefers() -> None:
    terms = [{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    spec = bound_to(daemon_set({"affinity": {"nodeAffinity": required}}).spec.template.spec, "a")
    assert target_node(Pod(metadata=ObjectMeta(name="p"), spec=spec)) == "a"
    assert len(required_terms(spec.affinity) or ()) == 1


def placed(owner: DaemonSet, pods: list[Pod], nodes: list[Node]) -> tuple[list[str], list[str], list[str]]:
    plan = plan_placement(owner, nodes, by_node(pods), NEW, NOW)
    return plan.create, [each.name for each in plan.delete], [each.name for each in plan.ended]


def test_each_fitting_node_gets_one_pod() -> None:
    nodes = [node("a"), node("b"), node("c", x="NoSchedule"), node("d", x="NoExecute")]
    pods = [pod("a"), pod("a", age=9), pod("c"), pod("d"), going(pod("d", age=5))]
    assert placed(daemon_set(), pods, nodes) == (["b"], ["d-a-new-0", "d-d-new-0"], [])


def test_an_ended_pod_makes_room_before_the_next_comes() -> None:
    failed = pod("a", phase="Failed", ready=None)
    assert placed(daemon_set(), [failed], [node("a")]) == ([], [], ["d-a-new-0"])
    assert placed(daemon_set(), [going(failed)], [node("a")]) == (["a"], [], [])


def test_a_pod_for_a_node_that_is_gone_goes_unless_it_runs_there() -> None:
    waiting, running = pod("x"), pod("y")
    waiting.spec = bound_to(daemon_set().spec.template.spec, "gone")
    assert placed(daemon_set(), [waiting, running], []) == ([], [waiting.name], [])


@pytest.mark.parametrize(
    ("old_ready", "new_ready", "deleted"), [(100, None, []), (None, None, ["d-a-old-9"]), (100, 5, ["d-a-old-9"])]
)
def test_with_surge_two_pods_share_a_node_until_the_new_one_is_available(
    old_ready: float | None, new_ready: float | None, deleted: list[str]
) -> None:
    pods = [pod("a", OLD, age=9, ready=old_ready), pod("a", NEW, ready=new_ready)]
    assert placed(daemon_set(maxSurge=1, maxUnavailable=0), pods, [node("a")]) == ([], deleted, [])


def rolled(owner: DaemonSet, pods: list[Pod]) -> tuple[list[str], list[str]]:
    nodes = [node(name) for name in "abcd"]
    plan = plan_rollout(owner, nodes, by_node(pods), NEW, NOW)
    return plan.create, [each.name for each in plan.delete]


def test_an_update_replaces_up_to_the_limit() -> None:
    old = [pod(name, OLD) for name in "abcd"]
    assert rolled(daemon_set(), old) == ([], ["d-a-old-0"])
    assert rolled(daemon_set(maxUnavailable="50%"), old) == ([], ["d-a-old-0", "d-b-old-0"])


def test_pods_that_are_not_available_anyway_are_replaced_beyond_the_limit() -> None:
    pods = [pod("a", OLD, ready=None), pod("b", OLD), pod("c", OLD, ready=None), pod("d", NEW, ready=None)]
    assert rolled(daemon_set(), pods) == ([], ["d-a-old-0", "d-c-old-0"])


def test_nodes_without_a_pod_count_as_unavailable() -> None:
    assert rolled(daemon_set(), [pod("a", OLD), pod("b", OLD), pod("c", OLD), going(pod("d", OLD))]) == ([], [])


def test_a_surge_goes_up_to_its_limit_and_removes_what_has_been_replaced() -> None:
    owner = daemon_set(maxSurge=1, maxUnavailable=0)
    assert rolled(owner, [pod(name, OLD) for name in "abcd"]) == (["a"], [])
    surging = [pod("a", OLD), pod("a", NEW, ready=None), pod("b", OLD)]
    assert rolled(owner, surging) == ([], [])
    done = [pod("a", OLD), pod("a", NEW), pod("b", OLD), pod("c", OLD, ready=None)]
    assert rolled(owner, done) == (["c", "b"], ["d-a-old-0"])


def test_the_status_counts_nodes() -> None:
    owner = daemon_set()
    owner.spec.minReadySeconds = 60
    nodes = [node("a"), node("b"), node("c"), node("d", x="NoExecute")]
    pods = [pod("a"), pod("b", OLD, ready=20), pod("d")]
    counted = count(owner, nodes, by_node(pods), NEW, NOW)
    status = counted.status
    assert (status.desiredNumberScheduled, status.currentNumberScheduled, status.numberMisscheduled) == (3, 2, 1)
    assert (status.numberReady, status.numberAvailable, status.numberUnavailable) == (2, 1, 2)
    assert (status.updatedNumberScheduled, status.observedGeneration) == (1, 2)
    assert counted.next_available_seconds == pytest.approx(40, abs=1)


# The controller


def running_cluster() -> tuple[FakeApi, Running]:
    api = FakeApi(FakeClock())
    for name in "ab":
        api.put(node(name))
    owner = daemon_set()
    api.put(owner)
    return api, Running(api, CONTROLLER)


async def test_it_makes_pods_once_and_a_revision_of_their_template() -> None:
    api, controller = running_cluster()
    await settle(api, controller)
    pods = api.all(Pod)
    assert sorted(map(target_node, pods)) == ["a", "b"]
    (revision,) = api.all(ControllerRevision)
    assert {each.labels[HASH_LABEL] for each in pods} == {revision.labels[HASH_LABEL]}
    assert revision.revision == 1
    api.put(node("c"))
    await settle(api, controller)
    assert sorted(map(target_node, api.all(Pod))) == ["a", "b", "c"]
    assert api.find(DaemonSet, "a/d").status.currentNumberScheduled == 3


async def test_a_pod_that_fails_at_once_is_replaced_ever_more_slowly() -> None:
    api, controller = running_cluster()
    await settle(api, controller)

    def fail() -> None:
        doomed = next(each for each in api.all(Pod) if target_node(each) == "a")
        api.change(Pod, doomed.key, lambda each: setattr(each.status, "phase", "Failed"))

    fail()
    await settle(api, controller)
    fail()
    before = {each.name for each in api.all(Pod)}
    await settle(api, controller)
    assert {each.name for each in api.all(Pod)} == before
    assert 0 < controller.delays["a/d"] <= 1
    api.clock.step(1)
    controller.queue.add("a/d")
    await settle(api, controller)
    assert {each.name for each in api.all(Pod)} != before


async def test_a_refused_creation_is_told_and_tried_again() -> None:
    api, controller = running_cluster()

    def refuse(request: str) -> None:
        if request.startswith("POST pods"):
            raise Forbidden("no")

    api.before = refuse
    with pytest.raises(Forbidden):
        await settle(api, controller)
    assert "Warning FailedCreate Error creating: no" in controller.recorder.events
    api.before = None
    controller.queue.done("a/d")
    controller.queue.add("a/d")
    await settle(api, controller)
    assert len(api.all(Pod)) == 2
