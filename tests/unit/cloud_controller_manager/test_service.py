"""Services of the type LoadBalancer: their address comes and goes with the balancer, and nothing is left behind."""

from __future__ import annotations

from typing import Any

from apimachinery.model import from_dict
from cloud_controller_manager.controllers.service import CONTROLLER, FINALIZER
from cloudprovider.interface import CloudError
from kubeapi.core.node import Node
from kubeapi.core.pod.scheduling.affinity import Taint
from kubeapi.core.service.model import Service
from tests.fakes.api import FakeApi, Running, settle
from tests.fakes.cloud import FakeCloud


def service(name: str = "web", type: str = "LoadBalancer", **spec: Any) -> Service:
    metadata = {"name": name, "namespace": "default"}
    return from_dict(Service, {"metadata": metadata, "spec": {"type": type, "ports": [{"port": 80}], **spec}})


def node(name: str, ready: str = "True", **labels: str) -> Node:
    conditions = [{"type": "Ready", "status": ready}]
    return from_dict(Node, {"metadata": {"name": name, "labels": labels}, "status": {"conditions": conditions}})


def running() -> tuple[FakeApi, FakeCloud, Running]:
    api, cloud = FakeApi(), FakeCloud()
    return api, cloud, Running(api, CONTROLLER, provider=cloud)


def reasons(controller: Running) -> list[str]:
    return [event.split()[1] for event in controller.recorder.events]


async def test_a_service_gets_an_address_and_a_finalizer() -> None:
    api, cloud, controller = running()
    api.put(node("n1"))
    api.put(service())
    await settle(api, controller)
    stored = api.find(Service, "default/web")
    assert [item.ip for item in stored.status.loadBalancer.ingress] == ["9.9.9.9"]
    assert stored.metadata.finalizers == [FINALIZER]
    assert cloud.balancers == {"default/web": ["n1"]}
    assert reasons(controller) == ["EnsuringLoadBalancer", "EnsuredLoadBalancer"]
    written = len(api.requests)
    api.change(Service, "default/web", lambda item: None)
    await settle(api, controller)
    assert len(api.requests) == written


async def test_a_balancer_goes_before_its_service() -> None:
    api, cloud, controller = running()
    api.put(service())
    await settle(api, controller)
    await api.delete(Service, "web", "default")
    assert api.all(Service)
    await settle(api, controller)
    assert (api.all(Service), cloud.balancers) == ([], {})
    assert reasons(controller)[2:] == ["DeletingLoadBalancer", "DeletedLoadBalancer"]


async def test_another_type_gives_the_address_back() -> None:
    api, cloud, controller = running()
    api.put(service())
    await settle(api, controller)

    def retype(item: Service) -> None:
        item.spec.type = "ClusterIP"

    api.change(Service, "default/web", retype)
    await settle(api, controller)
    stored = api.find(Service, "default/web")
    assert (stored.status.loadBalancer.ingress, stored.metadata.finalizers) == (None, None)
    assert cloud.balancers == {}


async def test_only_services_of_the_cloud_s_own_class_are_balanced() -> None:
    api, cloud, controller = running()
    api.put(service("plain", "NodePort"))
    api.put(service("other", loadBalancerClass="example.com/other"))
    await settle(api, controller)
    assert (cloud.balancers, controller.recorder.events) == ({}, [])


async def test_balancers_follow_the_nodes_that_take_traffic() -> None:
    api, cloud, controller = running()
    api.put(node("n1"))
    api.put(node("silent", "Unknown"))
    api.put(node("excluded", **{"node.kubernetes.io/exclude-from-external-load-balancers": ""}))
    api.put(service())
    await settle(api, controller)
    assert cloud.balancers == {"default/web": ["n1"]}
    api.put(node("n2"))
    await settle(api, controller)
    assert cloud.balancers == {"default/web": ["n1", "n2"]}
    assert reasons(controller)[2:] == ["UpdatedLoadBalancer"]

    def doom(item: Node) -> None:
        item.spec.taints = [Taint(key="ToBeDeletedByClusterAutoscaler", effect="NoSchedule")]

    api.change(Node, "n1", doom)
    await settle(api, controller)
    assert cloud.balancers == {"default/web": ["n2"]}


async def test_a_refusal_of_the_cloud_is_told_and_tried_again() -> None:
    api, cloud, controller = running()
    cloud.failing = "no address left"
    api.put(service())
    api.deliver()
    assert isinstance(await controller.step(), CloudError)
    text = "Error syncing load balancer: failed to ensure load balancer: no address left"
    assert controller.recorder.events[-1] == f"Warning SyncLoadBalancerFailed {text}"
    cloud.failing = ""
    await settle(api, controller)
    assert api.find(Service, "default/web").status.loadBalancer.ingress
