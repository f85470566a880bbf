"""Defines what a cloud gives a cluster: machines, balancers, routes, and groups of machines that grow and shrink.

A provider is one file in `providers/`. It brings the parts that its cloud has; a part that is None is not there, and
what would use it does not run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from apimachinery.catalogue import CatalogueError, collect
from kubeapi.core.node import Node, NodeAddress
from kubeapi.core.service.model import LoadBalancerStatus, Service

PROVIDERS = "cloudprovider.providers"


class CloudError(ConnectionError):
    """The cloud refused or failed; the message is for events and logs. As with the API server, it is tried again."""


@dataclass(frozen=True, slots=True)
class Instance:
    """A machine, as the cloud has it."""

    provider_id: str
    """PROVIDER://ID, the node's `spec.providerID`."""
    addresses: Sequence[NodeAddress]
    instance_type: str
    region: str
    zone: str
    shut_down: bool = False
    """It exists, and is switched off."""


class Instances(ABC):
    @abstractmethod
    async def find(self, node: Node) -> Instance | None:
        """Returns the machine of a node: by its provider id, or by its name while it has none.

        Raises: CloudError when the cloud can't tell.
        """


class LoadBalancers(ABC):
    @abstractmethod
    async def ensure(self, service: Service, nodes: Sequence[Node]) -> LoadBalancerStatus:
        """Makes or changes the balancer of a Service so that it sends to these nodes. Raises: CloudError."""

    @abstractmethod
    async def delete(self, service: Service) -> None:
        """Removes the balancer, if there is one. Raises: CloudError."""


@dataclass(frozen=True, slots=True)
class Route:
    """Says that the pods of a range are reached through a node."""

    name: str
    node_name: str
    destination: str
    """As in 10.244.1.0/24."""


class Routes(ABC):
    @abstractmethod
    async def list(self) -> Sequence[Route]:
        """Returns the routes of this cluster. Raises: CloudError."""

    @abstractmethod
    async def create(self, route: Route) -> None:
        """Raises: CloudError."""

    @abstractmethod
    async def delete(self, route: Route) -> None:
        """Raises: CloudError."""


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """Machines that are alike, and how many of them there may be."""

    name: str
    min_size: int
    max_size: int
    members: frozenset[str] = frozenset()
    """The provider ids of its machines, those included that are still being made."""


class NodeGroups(ABC):
    @abstractmethod
    async def list(self) -> Sequence[NodeGroup]:
        """Raises: CloudError when the cloud can't tell."""

    @abstractmethod
    async def template(self, group: str) -> Node:
        """Returns a Node such as a new machine of the group would register, with what it will have allocatable."""

    @abstractmethod
    async def add_machine(self, group: str) -> None:
        """Adds a machine and returns when it has been made. Raises: CloudError."""

    @abstractmethod
    async def remove_machine(self, group: str, provider_id: str) -> None:
        """Ends a member of the group, which has one less then. Raises: CloudError."""


@dataclass(slots=True)
class Provider(ABC):
    """A cloud. `run` follows it: every call of `changed` has the controllers compare it with the cluster again."""

    name: str
    instances: Instances
    load_balancers: LoadBalancers | None = None
    routes: Routes | None = None
    node_groups: NodeGroups | None = None
    _listeners: list[Callable[[], None]] = field(default_factory=list)

    def on_change(self, listener: Callable[[], None]) -> None:
        """Has `listener` called whenever machines, their state or their groups have changed."""
        self._listeners.append(listener)

    def changed(self) -> None:
        for listener in self._listeners:
            listener()

    def owns(self, node: Node) -> bool:
        """Tells whether the node is a machine of this cloud; one that was not initialised yet is not."""
        return (node.spec.providerID or "").startswith(f"{self.name}://")

    @abstractmethod
    async def run(self) -> None:
        """Follows the cloud until cancelled. Raises: CloudError for what can't be followed at all."""


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """Declares a provider as `PROVIDER` in its file. `factory` gets what --cloud-config names."""

    name: str
    factory: Callable[[str], Provider]


def providers() -> Mapping[str, ProviderSpec]:
    """Returns every provider that has a file, by name. Raises: CatalogueError."""
    specs = list(collect(PROVIDERS, "PROVIDER", ProviderSpec).values())
    by_name = {spec.name: spec for spec in specs}
    if len(by_name) < len(specs):
        raise CatalogueError("two files define a cloud provider of the same name")
    return by_name
