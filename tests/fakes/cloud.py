"""A cloud in memory."""

from __future__ import annotations

from collections.abc import Sequence

from apimachinery.model import from_dict
from cloudprovider.interface import (
    CloudError,
    Instance,
    Instances,
    LoadBalancers,
    NodeGroup,
    NodeGroups,
    Provider,
    Route,
    Routes,
)
from kubeapi.core.node import Node, NodeAddress
from kubeapi.core.service.model import LoadBalancerIngress, LoadBalancerStatus, Service


class FakeCloud(Provider, Instances, LoadBalancers, Routes):
    """Is all of its parts; `failing` is the message of an error that every part raises."""

    def __init__(self) -> None:
        super().__init__("fake", self, self, self)
        self.machines: dict[str, Instance] = {}
        self.balancers: dict[str, list[str]] = {}
        self.known_routes: list[Route] = []
        self.failing = ""

    def machine(self, name: str, address: str = "10.0.0.1", *, shut_down: bool = False) -> None:
        addresses = [NodeAddress(type="InternalIP", address=address), NodeAddress(type="ExternalIP", address="1.2.3.4")]
        self.machines[name] = Instance(f"fake://{name}", addresses, "small", "north", "north-1", shut_down)

    def _check(self) -> None:
        if self.failing:
            raise CloudError(self.failing)

    async def run(self) -> None:
        """A test says itself when something has changed."""

    async def find(self, node: Node) -> Instance | None:
        self._check()
        return self.machines.get((node.spec.providerID or "").removeprefix("fake://") or node.name)

    async def ensure(self, service: Service, nodes: Sequence[Node]) -> LoadBalancerStatus:
        self._check()
        self.balancers[service.key] = [node.name for node in nodes]
        return LoadBalancerStatus(ingress=[LoadBalancerIngress(ip="9.9.9.9")])

    async def delete(self, subject: Service | Route) -> None:
        self._check()
        if isinstance(subject, Route):
            self.known_routes.remove(subject)
        else:
            self.balancers.pop(subject.key, None)

    async def list(self) -> Sequence[Route]:
        return list(self.known_routes)

    async def create(self, route: Route) -> None:
        self._check()
        self.known_routes.append(route)


class FakeGroups(NodeGroups):
    """Groups of machines that are there as soon as they are asked for."""

    def __init__(self, *groups: NodeGroup, cpu: str = "4") -> None:
        self.groups = {group.name: group for group in groups}
        self.cpu = {group.name: cpu for group in groups}
        self.added: list[str] = []
        self.removed: list[str] = []
        self.failing = ""

    async def list(self) -> Sequence[NodeGroup]:
        return list(self.groups.values())

    async def template(self, group: str) -> Node:
        resources = {"cpu": self.cpu[group], "memory": "8Gi", "pods": "110"}
        labels = {"kubernetes.io/hostname": f"{group}-template", "pool": group}
        metadata = {"name": f"{group}-template", "labels": labels}
        return from_dict(Node, {"metadata": metadata, "status": {"allocatable": resources, "capacity": resources}})

    async def add_machine(self, group: str) -> None:
        if self.failing:
            raise CloudError(self.failing)
        self.added.append(group)

    async def remove_machine(self, group: str, provider_id: str) -> None:
        if self.failing:
            raise CloudError(self.failing)
        self.removed.append(provider_id.removeprefix("fake://"))
