"""The local cloud: the worker hosts that `mini-cluster` keeps on this machine.

The launcher writes an inventory file, the --cloud-config, whenever it has changed something. Hosts are added and
removed by its own command line. Addresses of balancers are noted in a file beside the inventory.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from apimachinery.meta import ObjectMeta
from cloudprovider.interface import (
    CloudError,
    Instance,
    Instances,
    LoadBalancers,
    NodeGroup,
    NodeGroups,
    Provider,
    ProviderSpec,
)
from componentbase import logs
from componentbase.host import process
from componentbase.host.inotify import FolderWatcher
from kubeapi.core.node import Node, NodeAddress, NodeStatus
from kubeapi.core.pod.scheduling.tolerations import parse_taint
from kubeapi.core.service.model import LoadBalancerIngress, LoadBalancerStatus, Service

NAME = "local"
INSTANCE_TYPE = "worker-host"
BALANCERS = "load-balancers.json"
COMMAND_SECONDS = 300.0
"""For the launcher to add or remove a host; it may first have to wait for another that is at work."""

log = logs.logger(__name__)
M = TypeVar("M", bound=BaseModel)


class Host(BaseModel):
    """One worker host."""

    name: str
    address: str
    on: bool = True
    group: str = ""


class Group(BaseModel):
    """The bounds within which the number of a group's hosts may be changed, and what a new host will be like."""

    name: str
    min: int
    max: int
    allocatable: dict[str, str]
    labels: dict[str, str] = {}
    taints: list[str] = []
    """As in key=value:NoSchedule."""


class Inventory(BaseModel):
    """Describes the launcher's hosts, as it writes them down."""

    cluster: str
    """Tells the hosts of this cluster from those of another one on the machine."""
    region: str
    zone: str
    hosts: list[Host]
    balancers: list[str]
    """The networks from which balancers get addresses: one for each family that the cluster has."""
    groups: list[Group] = []
    command: list[str] = []
    """The launcher's command line, as far as the subcommand."""


class Balancers(BaseModel):
    """The addresses given out."""

    services: dict[str, str] = {}
    """Address -> uid of its Service."""


def _read(file: Path, model: type[M]) -> M:
    """Raises: CloudError."""
    try:
        return model.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        raise CloudError(f"{file} can't be used: {error}") from None


class Machine:
    """The machine with its worker hosts: what all parts of the provider look at."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def inventory(self) -> Inventory:
        """Raises: CloudError."""
        return _read(self.file, Inventory)

    async def launch(self, *arguments: str) -> None:
        """Runs the launcher. Raises: CloudError."""
        try:
            await process.run(*self.inventory().command, *arguments, timeout_seconds=COMMAND_SECONDS)
        except process.CommandError as error:
            raise CloudError(str(error)) from None


def provider_id(inventory: Inventory, host: Host) -> str:
    return f"{NAME}://{inventory.cluster}/{host.name}"


class HostInstances(Instances):
    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def find(self, node: Node) -> Instance | None:
        inventory, id = self._machine.inventory(), node.spec.providerID
        for host in inventory.hosts:
            if id == provider_id(inventory, host) or (not id and host.name == node.name):
                addresses = [
                    NodeAddress(type="InternalIP", address=host.address),
                    NodeAddress(type="Hostname", address=host.name),
                ]
                return Instance(
                    provider_id(inventory, host),
                    addresses,
                    INSTANCE_TYPE,
                    inventory.region,
                    inventory.zone,
                    shut_down=not host.on,
                )
        return None


class HostBalancers(LoadBalancers):
    """Gives each Service an address of the hosts' network, for as long as it has a balancer; one of each family."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._file = machine.file.with_name(BALANCERS)

    async def ensure(self, service: Service, nodes: Sequence[Node]) -> LoadBalancerStatus:
        given, uid = self._given(), service.metadata.uid or ""
        before = [item.ip for item in service.status.loadBalancer.ingress or () if item.ip]
        own = [address for address, owner in given.items() if owner == uid] or [ip for ip in before if ip not in given]
        others = {address: owner for address, owner in given.items() if owner != uid}
        pools = {f"IPv{ip_network(text).version}": text for text in self._machine.inventory().balancers}
        addresses, wanted = list[str](), service.spec.loadBalancerIP or ""
        for family in service.spec.ipFamilies or list(pools)[:1]:
            if family not in pools:
                raise CloudError(f"the hosts' network has no {family} addresses for balancers")
            addresses.append(choose_address(pools[family], others, own, wanted))
        if wanted and str(ip_address(wanted)) not in addresses:
            raise CloudError(f"the requested address {wanted} is not of a family of the Service")
        now = others | dict.fromkeys(addresses, uid)
        if now != given:
            self._save(now)
        return LoadBalancerStatus(ingress=[LoadBalancerIngress(ip=address) for address in addresses])

    async def delete(self, service: Service) -> None:
        given = self._given()
        others = {address: uid for address, uid in given.items() if uid != service.metadata.uid}
        if others != given:
            self._save(others)

    def _given(self) -> dict[str, str]:
        return _read(self._file, Balancers).services if self._file.exists() else {}

    def _save(self, given: dict[str, str]) -> None:
        """Replaces the file in one step. Raises: CloudError."""
        temporary = self._file.with_name(f".{self._file.name}")
        try:
            temporary.write_text(Balancers(services=given).model_dump_json(indent=2))
            os.replace(temporary, self._file)
        except OSError as error:
            raise CloudError(str(error)) from None


def choose_address(network: str, taken: Collection[str], own: Iterable[str] = (), wanted: str = "") -> str:
    """Returns the wanted address, the own one, or the first free one of the network.

    One that is wanted of the other family is not asked for here. Raises: CloudError when it can't be had.
    """
    candidates = ip_network(network)
    if wanted:
        try:
            address = ip_address(wanted)
        except ValueError:
            raise CloudError(f"the requested address {wanted} is not in {network}") from None
        if address.version == candidates.version:
            if address not in candidates or str(address) in taken:
                why = "is in use" if address in candidates else f"is not in {network}"
                raise CloudError(f"the requested address {wanted} {why}")
            return str(address)
    for text in own:
        if ip_address(text) in candidates:
            return text
    for address in candidates.hosts():
        if str(address) not in taken:
            return str(address)
    raise CloudError(f"all addresses of {network} are in use")


class HostGroups(NodeGroups):
    """The groups of worker hosts whose number the launcher lets be changed."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def list(self) -> Sequence[NodeGroup]:
        inventory = self._machine.inventory()
        return [
            NodeGroup(
                group.name,
                group.min,
                group.max,
                frozenset(provider_id(inventory, host) for host in inventory.hosts if host.group == group.name),
            )
            for group in inventory.groups
        ]

    async def template(self, group: str) -> Node:
        inventory = self._machine.inventory()
        wanted = next((item for item in inventory.groups if item.name == group), None)
        if wanted is None:
            raise CloudError(f"there is no node group {group}")
        name = f"{group}-template"
        labels = {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": "linux",
            "node.kubernetes.io/instance-type": INSTANCE_TYPE,
            "topology.kubernetes.io/region": inventory.region,
            "topology.kubernetes.io/zone": inventory.zone,
        }
        status = NodeStatus(capacity=wanted.allocatable, allocatable=wanted.allocatable)
        node = Node(metadata=ObjectMeta(name=name, labels=labels | wanted.labels), status=status)
        node.spec.taints = [parse_taint(text) for text in wanted.taints] or None
        return node

    async def add_machine(self, group: str) -> None:
        await self._machine.launch("node", "add", "--group", group)

    async def remove_machine(self, group: str, provider_id: str) -> None:
        await self._machine.launch("node", "remove", provider_id.rpartition("/")[2])


class LocalProvider(Provider):
    def __init__(self, config: str) -> None:
        """Raises: CloudError without a usable inventory."""
        machine = Machine(Path(config))
        machine.inventory()
        super().__init__(NAME, HostInstances(machine), HostBalancers(machine), node_groups=HostGroups(machine))
        self._machine = machine

    async def run(self) -> None:
        with closing(FolderWatcher()) as watcher, watcher.watching(self._machine.file.parent) as written:
            last = self._machine.inventory()
            while True:
                await written.wait()
                written.clear()
                try:
                    inventory = self._machine.inventory()
                except CloudError as error:
                    log.warning("inventory not read", error=str(error))
                    continue
                if inventory != last:
                    last = inventory
                    log.info("hosts changed", hosts=",".join(host.name for host in inventory.hosts))
                    self.changed()


PROVIDER = ProviderSpec(NAME, LocalProvider)
