"""Nodes get what their cloud knows, and go with their machine."""

from __future__ import annotations

from typing import Any

import pytest

from apimachinery.conditions import get_condition
from apimachinery.model import from_dict
from cloud_controller_manager.controllers.node import CONTROLLER as NODE
from cloud_controller_manager.controllers.nodelifecycle import CONTROLLER as LIFECYCLE
from cloud_controller_manager.controllers.route import CONTROLLER as ROUTE
from cloud_controller_manager.controllers.route import plan_routes
from cloudprovider.interface import CloudError, Route
from kubeapi.core.node import Node
from tests.fakes.api import FakeApi, Running, settle
from tests.fakes.cloud import FakeCloud

UNINITIALIZED = {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"}
OTHER = {"key": "other", "effect": "NoSchedule"}


def node(name: str = "n1", *taints: dict[str, str], ready: str = "True", **more: Any) -> Node:
    conditions = [{"type": "Ready", "status": ready}]
    document: dict[str, Any] = {
        "metadata": {"name": name, "annotations": more.pop("annotations", {})},
        "spec": {"taints": list(taints) or None, **more},
        "status": {"conditions": conditions, "addresses": [{"type": "Hostname", "address": name}]},
    }
    return from_dict(Node, document)


def running(spec: Any) -> tuple[FakeApi, FakeCloud, Running]:
    api, cloud = FakeApi(), FakeCloud()
    return api, cloud, Running(api, spec, provider=cloud, configure_cloud_routes=True)


async def test_a_new_node_gets_what_the_cloud_knows_and_loses_its_taint() -> None:
    api, cloud, controller = running(NODE)
    cloud.machine("n1")
    api.put(node("n1", UNINITIALIZED, OTHER))
    await settle(api, controller)
    stored = api.find(Node, "n1")
    assert stored.spec.providerID == "fake://n1"
    assert [taint.key for taint in stored.spec.taints] == ["other"]
    assert stored.labels["topology.kubernetes.io/zone"] == "north-1"
    assert stored.labels["topology.kubernetes.io/region"] == "north"
    assert stored.labels["node.kubernetes.io/instance-type"] == "small"
    assert [(item.type, item.address) for item in stored.status.addresses] == [
        ("InternalIP", "10.0.0.1"), ("ExternalIP", "1.2.3.4"), ("Hostname", "n1")
    ]  # fmt: skip
    assert controller.recorder.events == ["Normal Synced Node synced successfully"]
    writes = len(api.requests)
    api.change(Node, "n1", lambda node: None)
    await settle(api, controller)
    assert len(api.requests) == writes


async def test_the_address_that_the_kubelet_names_comes_first_and_must_be_the_machine_s() -> None:
    api, cloud, controller = running(NODE)
    cloud.machine("n1")
    api.put(node("n1", UNINITIALIZED, annotations={"alpha.kubernetes.io/provided-node-ip": "1.2.3.4"}))
    await settle(api, controller)
    assert api.find(Node, "n1").status.addresses[0].address == "1.2.3.4"
    api.put(node("n2", UNINITIALIZED, annotations={"alpha.kubernetes.io/provided-node-ip": "8.8.8.8"}))
    cloud.machine("n2")
    api.deliver()
    assert isinstance(error := await controller.step(), CloudError)
    assert str(error) == "failed to get node address from cloud provider that matches ip: 8.8.8.8"
    assert api.find(Node, "n2").spec.taints


async def test_a_node_waits_until_the_cloud_knows_its_machine() -> None:
    api, cloud, controller = running(NODE)
    api.put(node("n1", UNINITIALIZED))
    api.deliver()
    assert isinstance(await controller.step(), CloudError)
    cloud.machine("n1")
    await settle(api, controller)
    assert api.find(Node, "n1").spec.taints is None


async def test_a_node_that_was_there_before_the_cloud_gets_its_id_and_no_event() -> None:
    api, cloud, controller = running(NODE)
    cloud.machine("n1")
    api.put(node("n1"))
    api.put(node("foreign"))
    await settle(api, controller)
    assert api.find(Node, "n1").spec.providerID == "fake://n1"
    assert api.find(Node, "foreign").spec.providerID is None
    assert controller.recorder.events == []


@pytest.mark.parametrize("ready", ["False", "Unknown"])
async def test_a_silent_node_goes_with_its_machine(ready: str) -> None:
    api, cloud, controller = running(LIFECYCLE)
    api.put(node("n1", ready=ready, providerID="fake://n1"))
    api.put(node("healthy", providerID="fake://healthy"))
    api.put(node("foreign", ready=ready, providerID="other://x"))
    api.put(node("unknown", ready=ready))
    await settle(api, controller)
    assert sorted(item.name for item in api.all(Node)) == ["foreign", "healthy", "unknown"]
    message = "Deleting node n1 because it does not exist in the cloud provider"
    assert controller.recorder.events == [f"Normal DeletingNode {message}"]
    assert cloud.machines == {}


async def test_no_node_goes_while_the_cloud_cannot_tell() -> None:
    api, cloud, controller = running(LIFECYCLE)
    cloud.failing = "no answer"
    api.put(node("n1", ready="Unknown", providerID="fake://n1"))
    api.deliver()
    assert isinstance(await controller.step(), CloudError)
    assert api.all(Node)


async def test_a_node_whose_machine_is_off_is_tainted_until_it_is_ready_again() -> None:
    api, cloud, controller = running(LIFECYCLE)
    cloud.machine("n1", shut_down=True)
    api.put(node("n1", OTHER, ready="Unknown", providerID="fake://n1"))
    await settle(api, controller)
    taints = api.find(Node, "n1").spec.taints
    assert [(taint.key, taint.effect) for taint in taints][1:] == [
        ("node.cloudprovider.kubernetes.io/shutdown", "NoSchedule")
    ]

    def recover(item: Node) -> None:
        item.status.conditions[0].status = "True"  # type: ignore[index]

    api.change(Node, "n1", recover)
    await settle(api, controller)
    assert [taint.key for taint in api.find(Node, "n1").spec.taints] == ["other"]


# Routes


async def test_each_node_has_a_route_for_its_pods_and_foreign_ones_go() -> None:
    api, cloud, controller = running(ROUTE)
    cloud.known_routes = [Route("old", "gone", "10.9.0.0/24")]
    api.put(node("n1", podCIDRs=["10.0.1.0/24"]))
    api.put(node("n2"))
    await settle(api, controller)
    assert cloud.known_routes == [Route("n1-0", "n1", "10.0.1.0/24")]
    condition = get_condition(api.find(Node, "n1").status.conditions, "NetworkUnavailable")
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", "RouteCreated")
    assert get_condition(api.find(Node, "n2").status.conditions, "NetworkUnavailable") is None


async def test_a_node_without_its_route_says_so() -> None:
    api, cloud, controller = running(ROUTE)
    cloud.failing = "quota"
    api.put(node("n1", podCIDRs=["10.0.1.0/24"]))
    api.deliver()
    assert isinstance(await controller.step(), CloudError)
    condition = get_condition(api.find(Node, "n1").status.conditions, "NetworkUnavailable")
    assert condition is not None
    assert (condition.status, condition.reason) == ("True", "NoRouteCreated")
    assert controller.recorder.events == ["Warning FailedToCreateRoute Could not create route: quota"]


def test_routes_that_are_right_stay() -> None:
    route = Route("x", "n1", "10.0.1.0/24")
    assert plan_routes([node("n1", podCIDRs=["10.0.1.0/24"])], [route]) == ([], [])
