"""Pods that no kubelet would remove."""

from __future__ import annotations

import pytest

from apimachinery.meta import ObjectMeta
from controller_manager.controllers.nodes.podgc import CONTROLLER, QUARANTINE_SECONDS
from kubeapi.core.node import Node, NodeCondition, Taint
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.spec import Container, PodSpec
from kubeapi.core.pod.status import PodStatus
from tests.fakes.api import FakeApi, Running, settle
from tests.fakes.clock import FakeClock


def pod(name: str, node: str = "", phase: str = "Running", *, terminating: bool = False, second: int = 0) -> Pod:
    metadata = ObjectMeta(name=name, namespace="default", creationTimestamp=f"2026-01-01T00:00:{second:02}Z")
    if terminating:
        metadata.deletionTimestamp = "2026-01-01T00:00:00Z"
    spec = PodSpec(nodeName=node or None, containers=[Container(name="c", image="i")])
    return Pod(metadata=metadata, spec=spec, status=PodStatus(phase=phase))


class World:
    def __init__(self, threshold: int = 0) -> None:
        self.clock = FakeClock()
        self.api = FakeApi(self.clock)
        self.api.put(Node(metadata=ObjectMeta(name="n1")))
        self.gc = Running(self.api, CONTROLLER, terminated_pod_gc_threshold=threshold)

    async def rest(self) -> list[str]:
        """The names of the pods that are left when there is nothing more to do."""
        await settle(self.api, self.gc)
        return sorted(each.name for each in self.api.all(Pod))

    async def later(self, seconds: float) -> list[str]:
        self.clock.step(seconds)
        for each in self.api.all(Pod):
            self.gc.queue.add(each.key)
        return await self.rest()


async def test_pods_of_a_node_that_is_gone_go_after_a_while() -> None:
    world = World()
    for name, node in (("lost", "n1"), ("waiting", "")):
        world.api.put(pod(name, node))
    assert await world.rest() == ["lost", "waiting"]
    await world.api.delete(Node, "n1")
    assert await world.rest() == ["lost", "waiting"]
    assert world.gc.delays["default/lost"] == QUARANTINE_SECONDS
    assert await world.later(QUARANTINE_SECONDS - 1) == ["lost", "waiting"]
    assert await world.later(2) == ["waiting"]
    to_pods = [request for request in world.api.requests if " pods " in request]
    assert [request.split()[0] for request in to_pods] == ["PATCH", "DELETE"]  # its role allows no more


async def test_a_node_that_is_registered_again_keeps_its_pods() -> None:
    world = World()
    world.api.put(pod("p", "n1"))
    await world.rest()
    await world.api.delete(Node, "n1")
    await world.rest()
    world.api.put(Node(metadata=ObjectMeta(name="n1")))
    assert await world.later(QUARANTINE_SECONDS + 1) == ["p"]
    await world.api.delete(Node, "n1")
    assert await world.rest() == ["p"]


@pytest.mark.parametrize("ready", ["True", "Unknown"])
async def test_pods_that_terminate_on_a_node_out_of_service_go_if_it_is_silent(ready: str) -> None:
    world = World()
    for name, terminating in (("leaving", True), ("staying", False)):
        world.api.put(pod(name, "n1", terminating=terminating))
    assert await world.rest() == ["leaving", "staying"]

    def vouch(node: Node) -> None:
        node.spec.taints = [Taint(key="node.kubernetes.io/out-of-service", effect="NoExecute")]
        node.status.conditions = [NodeCondition(type="Ready", status=ready)]

    world.api.change(Node, "n1", vouch)
    assert await world.rest() == (["staying"] if ready == "Unknown" else ["leaving", "staying"])


async def test_a_cache_that_does_not_know_the_node_yet_proves_nothing() -> None:
    world = World()
    world.api.put(Node(metadata=ObjectMeta(name="new")))
    world.api.undelivered.clear()
    world.api.put(pod("p", "new"))
    assert await world.rest() == ["p"]
    assert await world.later(QUARANTINE_SECONDS + 1) == ["p"]


async def test_a_pod_deleted_before_it_was_scheduled_goes_at_once() -> None:
    world = World()
    world.api.put(pod("early", terminating=True))
    world.api.put(pod("kubelets", "n1", terminating=True))
    assert await world.rest() == ["kubelets"]


async def test_the_oldest_ended_pods_go_when_there_are_too_many() -> None:
    world = World(threshold=2)
    for second in range(4):
        world.api.put(pod(f"p{second}", "n1", "Succeeded" if second % 2 else "Failed", second=second))
    world.api.put(pod("running", "n1"))
    assert await world.rest() == ["p0", "p1", "p2", "p3", "running"]
    world.gc.tick()
    assert await world.rest() == ["p2", "p3", "running"]
