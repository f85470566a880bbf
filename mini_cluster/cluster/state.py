"""The choices made for a cluster (subnets, ports, nodes), kept in `state.json`, so that every later `up` is the same
cluster."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from typing import Any

from mini_cluster.cluster.families import IP_FAMILIES, SERVICE_CIDRS, Network, Networks
from mini_cluster.errors import LauncherError

MAX_NODES = 5
DEFAULT_NODES = 2
DEFAULT_API_PORT = 6443
PORT_RANGE = range(20000, 30000)  # below the kernel's ephemeral ports and the NodePorts
ETCD_MEMBER_COUNTS = (1, 3, 5)
STATE_VERSION = 2
DEFAULT_GROUP = "workers"
PROXY_MODES = ("iptables", "nftables")
DEFAULT_PROXY_MODE = PROXY_MODES[0]
OVERLAY_MODES = ("never", "always")
DEFAULT_OVERLAY = OVERLAY_MODES[0]


class StateError(LauncherError):
    """The state file cannot be used, or the machine has nothing left to choose."""


_IP_FREEBIND = 15  # of <linux/in.h>, which the socket module leaves out


@dataclass(frozen=True)
class NodeState:
    """One worker host."""

    index: int
    """From 1; chooses the node's addresses."""
    stopped: bool = False
    """The host was switched off by `node stop`."""
    disconnected: bool = False
    """The host's cable is pulled, by `node disconnect`."""
    group: str = DEFAULT_GROUP

    @property
    def name(self) -> str:
        return f"worker-{self.index}"

    @property
    def in_use(self) -> bool:
        """Tells whether the host is on, and others reach it."""
        return not (self.stopped or self.disconnected)


@dataclass(frozen=True)
class Joined:
    """What a machine knows of the cluster that its worker host belongs to, whose control plane is elsewhere."""

    server: str
    """ "ADDRESS:PORT" of the API server."""
    node_name: str
    address: str
    """The machine's own, by which the others reach it."""

    @property
    def hub(self) -> str:
        """The address of the control plane's machine."""
        return self.server.rpartition(":")[0]


@dataclass(frozen=True)
class EtcdPorts:
    """One member's."""

    client: int
    peer: int


@dataclass(frozen=True)
class Ports:
    """Ports on the machine itself, all distinct."""

    api: int
    controller_manager: int
    scheduler: int
    etcd: tuple[EtcdPorts, ...]

    def all(self) -> set[int]:
        members = (port for member in self.etcd for port in (member.client, member.peer))
        return {self.api, self.controller_manager, self.scheduler, *members}


@dataclass(frozen=True)
class HostGroup:
    """Worker hosts that are alike, and how few and how many the autoscaler may make of them."""

    name: str
    least: int
    most: int
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    """As in key=value:NoSchedule."""
    sizes: Mapping[str, str] = field(default_factory=dict)
    """The CPU and memory that pods may ask for, where that is not all that the machine has."""
    reserved: Mapping[str, str] = field(default_factory=dict)
    """The rest of the machine's."""


@dataclass(frozen=True)
class CloudState:
    """The daemons of the local cloud."""

    controller_manager_port: int
    autoscaler_port: int
    groups: tuple[HostGroup, ...] = ()
    """Empty while the number of worker hosts is the user's alone."""
    hosts: bool = True
    """Whether they look after the hosts; else they give addresses to balancers alone."""
    unneeded_seconds: float = 120.0
    """How long a host has to be unneeded until it is removed. Upstream's 10 minutes suit machines that take as long to
    start and are paid for by the hour."""


@dataclass(frozen=True)
class ClusterState:
    """The choices."""

    subnet: str
    """The /24 of the worker hosts; the machine itself has its first address."""
    pod_network: str
    """A /16; node N has the N-th /24 of it."""
    ports: Ports
    nodes: tuple[NodeState, ...] = ()
    version: int = STATE_VERSION
    forwarding_enabled: bool = field(default=False)
    """The launcher switched the machine's IPv4 forwarding on, so `down` switches it off."""
    join_address: str = ""
    """The machine's address for worker hosts on other machines; "" while none may join."""
    registry_port: int = 0
    """The port of the cluster's image registry; 0 when it has none."""
    proxy_mode: str = DEFAULT_PROXY_MODE
    """The kind of packet rules that kube-proxy makes on every host."""
    overlay: str = DEFAULT_OVERLAY
    """Whether the hosts' pods reach each other by VXLAN: the hosts are neighbours, and need none."""
    http_port: int = 80
    """Of Ingresses, at the machine's address among the hosts."""
    https_port: int = 443
    cloud: CloudState | None = None
    """The local cloud; None when nodes and balancers are left to others."""
    joined: Joined | None = None
    """The worker host that this machine is of a cluster elsewhere; None if the control plane runs here."""
    ip_family: str = "ipv4"
    """One of IP_FAMILIES."""
    subnet6: str = ""
    pod_network6: str = ""
    """The same two of IPv6; "" while the cluster has none."""

    @property
    def networks(self) -> tuple[Networks, ...]:
        """The networks that the machine and the worker hosts have. There is always IPv4, by which daemons speak."""
        four = Networks(self.subnet, self.pod_network)
        return (four, Networks(self.subnet6, self.pod_network6)) if self.subnet6 else (four,)

    @property
    def cluster_networks(self) -> tuple[Networks, ...]:
        """The networks that the cluster's objects tell of, the preferred one first."""
        return tuple(each for each in self.networks if each.version in IP_FAMILIES[self.ip_family])

    @property
    def service_cidrs(self) -> tuple[str, ...]:
        return tuple(SERVICE_CIDRS[version] for version in IP_FAMILIES[self.ip_family])

    @property
    def gateway(self) -> str:
        return self.networks[0].gateway

    def node_ip(self, index: int) -> str:
        """Returns the IPv4 address of a worker host."""
        return self.networks[0].node_ip(index)

    def node_ips(self, index: int) -> tuple[str, ...]:
        """Returns the addresses that the Node tells of."""
        return tuple(each.node_ip(index) for each in self.cluster_networks)

    @property
    def has_networks(self) -> bool:
        """Tells whether hosts and pods have addresses: the networks are this cluster's own from then on."""
        return bool(self.nodes or self.join_address or self.joined)

    @property
    def api_bind_address(self) -> str:
        """Loopback, unless there are worker hosts that must reach it."""
        if not self.has_networks:
            return "127.0.0.1"
        return "::" if self.subnet6 else "0.0.0.0"

    @property
    def api_advertise_address(self) -> str:
        return self.join_address or (self.cluster_networks[0].gateway if self.nodes else "127.0.0.1")

    def node(self, name: str) -> NodeState:
        """Raises: StateError for a name that is not a node of this cluster."""
        for node in self.nodes:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.nodes) or "none"
        raise StateError(f"there is no node {name!r} in this cluster (nodes: {names})")

    def require_control_plane(self) -> None:
        """Raises: StateError on a machine that has joined: its cluster is looked after where the control plane is."""
        if self.joined is not None:
            raise StateError(
                f"this machine is a worker host of the cluster at {self.joined.server}: "
                f"run the command on the control plane's machine, {self.joined.hub}"
            )

    def with_node_count(self, count: int) -> ClusterState:
        """So many nodes, all on and connected: those that it has, then the lowest free numbers; the highest go first.

        Raises: StateError on a machine that has joined.
        """
        self.require_control_plane()
        present = sorted(map(_switched_on, self.nodes), key=lambda node: node.index)
        taken = {node.index for node in present}
        free = (NodeState(index) for index in range(1, MAX_NODES + 1) if index not in taken)
        nodes = sorted([*present, *free][:count], key=lambda node: node.index)
        return replace(self, nodes=tuple(nodes))

    def with_node(self, name: str, group: str = DEFAULT_GROUP) -> ClusterState:
        """One node more, of this group; "" stands for the lowest free number.

        Raises: StateError on a machine that has joined, for a group that there is not, and for a name that it has, or
        no node can have: the number in it chooses the node's addresses.
        """
        self.require_control_plane()
        groups = [DEFAULT_GROUP, *(item.name for item in (self.cloud.groups if self.cloud else ()))]
        if group not in groups:
            raise StateError(f"there is no node group {group!r} (groups: {', '.join(dict.fromkeys(groups))})")
        possible = {node.name: node for node in map(NodeState, range(1, MAX_NODES + 1))}
        taken = {node.name for node in self.nodes}
        free = [node for node in possible.values() if node.name not in taken]
        if not free:
            raise StateError(f"a cluster on one machine has at most {MAX_NODES} nodes")
        if name and name not in possible:
            raise StateError(f"a node can't be called {name!r}; free names are {', '.join(node.name for node in free)}")
        added = possible[name] if name else free[0]
        if added not in free:
            raise StateError(f"there is a node {name} already")
        nodes = sorted((*self.nodes, replace(added, group=group)), key=lambda node: node.index)
        return replace(self, nodes=tuple(nodes))

    def without_node(self, name: str) -> ClusterState:
        """Raises: StateError for a name that is not a node of this cluster, and on a machine that has joined."""
        self.require_control_plane()
        gone = self.node(name)
        return replace(self, nodes=tuple(node for node in self.nodes if node != gone))

    def with_forwarding_enabled(self, enabled: bool = True) -> ClusterState:
        return replace(self, forwarding_enabled=enabled)

    def with_stopped(self, name: str, stopped: bool) -> ClusterState:
        """A host that is switched off or on has its cable. Raises: StateError as `with_disconnected`."""
        self.require_control_plane()
        return self._with(replace(self.node(name), stopped=stopped, disconnected=False))

    def with_disconnected(self, name: str, disconnected: bool) -> ClusterState:
        """Raises: StateError for a host that is off, for a name that is not a node of this cluster, and on a machine
        that has joined."""
        self.require_control_plane()
        node = self.node(name)
        if node.stopped:
            raise StateError(f"{name} is switched off: `mini-cluster node start {name}` switches it on")
        return self._with(replace(node, disconnected=disconnected))

    def _with(self, changed: NodeState) -> ClusterState:
        nodes = tuple(changed if node.name == changed.name else node for node in self.nodes)
        return replace(self, nodes=nodes)


def _switched_on(node: NodeState) -> NodeState:
    return replace(node, stopped=False, disconnected=False)


def choose_network(candidates: Iterable[Network], used: Iterable[Network]) -> Network:
    """Returns the first candidate that overlaps nothing in use.

    Raises: StateError when every one does.
    """
    taken = list(used)
    for candidate in candidates:
        if not any(candidate.overlaps(network) for network in taken):
            return candidate
    raise StateError("every private subnet that the launcher could use is in use on this machine")


class _FreePorts:
    """Hands out free ports. The search starts at a place that depends on the key, so that clusters don't meet."""

    def __init__(self, key: str, is_free: Callable[[int], bool], excluded: set[int]) -> None:
        start = int(key, 16) % len(PORT_RANGE)
        candidates = (PORT_RANGE[(start + offset) % len(PORT_RANGE)] for offset in range(len(PORT_RANGE)))
        self._ports = (port for port in candidates if port not in excluded and is_free(port))

    def take(self) -> int:
        """Raises: StateError when none is left."""
        port = next(self._ports, None)
        if port is None:
            raise StateError(f"no free port left in {PORT_RANGE.start}-{PORT_RANGE.stop - 1}")
        return port


def choose_ports(key: str, api_port: int | None, is_free: Callable[[int], bool], etcd_members: int = 1) -> Ports:
    """Distinct free ports for a new cluster.

    `api_port` is the preferred one of the API server: it yields when in use; None asks for any.
    Raises: StateError when too few are free.
    """
    preferred = api_port if api_port is not None and is_free(api_port) else 0
    free = _FreePorts(key, is_free, {preferred})
    api = preferred or free.take()
    return Ports(api, free.take(), free.take(), tuple(EtcdPorts(free.take(), free.take()) for _ in range(etcd_members)))


def choose_registry_port(ports: Ports, key: str, preferred: int, is_free: Callable[[int], bool]) -> int:
    """Returns the preferred port if it is free. Raises: StateError when none is."""
    return preferred if is_free(preferred) else _FreePorts(key, is_free, ports.all()).take()


def choose_cloud_ports(state: ClusterState, key: str, is_free: Callable[[int], bool]) -> tuple[int, int]:
    """Returns two ports besides those that the cluster has. Raises: StateError when too few are free."""
    free = _FreePorts(key, is_free, {*state.ports.all(), state.registry_port})
    return free.take(), free.take()


def replace_taken_ports(ports: Ports, key: str, is_free: Callable[[int], bool]) -> Ports:
    """Returns the same ports, except for those that something else took while the cluster was down.

    Raises: StateError, also when several members of etcd have written a port down that is now taken.
    """
    staying = {port for port in ports.all() if is_free(port)}
    free = _FreePorts(key, is_free, staying)

    def keep(port: int) -> int:
        return port if port in staying else free.take()

    taken_peers = [member.peer for member in ports.etcd if member.peer not in staying]
    if taken_peers and len(ports.etcd) > 1:
        raise StateError(
            f"etcd's members reach each other on port {taken_peers[0]}, which another program uses now: end that "
            "program and run `mini-cluster up` again"
        )
    members = tuple(EtcdPorts(keep(member.client), keep(member.peer)) for member in ports.etcd)
    return Ports(keep(ports.api), keep(ports.controller_manager), keep(ports.scheduler), members)


def load_state(path: Path) -> ClusterState | None:
    """Reads the state; None when the cluster was never brought up.

    Raises: StateError for a file that is damaged or of another version.
    """
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise StateError(f"{path} is damaged ({error}): run `mini-cluster down --purge` and start anew") from None
    if not isinstance(data, dict) or data.get("version") not in (1, STATE_VERSION):
        raise StateError(f"{path} was written by another version: run `mini-cluster down --purge` and start anew")
    try:
        ports = data.pop("ports")
        if data.pop("version") == 1:  # etcd had one member
            ports["etcd"] = [{"client": ports.pop("etcd_client"), "peer": ports.pop("etcd_peer")}]
        ports["etcd"] = tuple(EtcdPorts(**member) for member in ports["etcd"])
        nodes = tuple(NodeState(**node) for node in data.pop("nodes"))
        joined, cloud = data.pop("joined", None), data.pop("cloud", None)
        return ClusterState(
            **data,
            ports=Ports(**ports),
            nodes=nodes,
            joined=Joined(**joined) if joined else None,
            cloud=_cloud(cloud) if cloud else None,
        )
    except (KeyError, TypeError) as error:
        raise StateError(f"{path} is damaged ({error}): run `mini-cluster down --purge` and start anew") from None


def _cloud(data: dict[str, Any]) -> CloudState:
    groups = [HostGroup(**(group | {"taints": tuple(group["taints"])})) for group in data.pop("groups")]
    return CloudState(**data, groups=tuple(groups))


def save_state(path: Path, state: ClusterState) -> None:
    write_atomically(path, json.dumps(asdict(state), indent=2) + "\n")


def write_atomically(path: Path, text: str) -> None:
    """Replaces the file in one step, and makes its folder where that is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


def port_is_free(port: int) -> bool:
    """Tells whether a server could listen on the port on any address of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True


def address_is_free(address: str, port: int) -> bool:
    """Tells whether a server could listen there once this machine has the address."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


def networks_in_use(route_text: str, address_text: str) -> dict[Network, str]:
    """Returns the networks that `ip -json route show table all` and `ip -json address` print, but no default route.

    Each comes with the name of its link, "" where there is none.
    """
    links = {route.get("dst"): route.get("dev", "") for route in json.loads(route_text or "[]")}
    for link in json.loads(address_text or "[]"):
        links |= {f"{item['local']}/{item['prefixlen']}": link.get("ifname", "") for item in link.get("addr_info", [])}
    return {
        ip_network(text, strict=False): name
        for text, name in links.items()
        if text and text[0].isalnum() and text != "default"
    }


def link_in_the_way(state: ClusterState, used: Mapping[Network, str], own_link: str) -> str:
    """Returns a link of this machine that something else has in the networks of the cluster, or "".

    Wider networks (a VPN's) don't count: the cluster's routes go before theirs. Routes without a link say only that
    addresses are unreachable.
    """
    networks = [ip_network(text) for each in state.networks for text in (each.subnet, each.pod_network)]
    for network, link in used.items():
        if link not in ("", own_link) and any(
            network.network_address in own and network.prefixlen >= own.prefixlen for own in networks
        ):
            return link
    return ""


def is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
