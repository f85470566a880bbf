"""The network of worker hosts: a bridge on the machine, and per host a network namespace with a cable to it.

Every function can be repeated and repairs what is missing. Inside a host the cable's end is `eth0`; netagents, in the
hosts and on the machine, keep routes to the pods of nodes. Addresses of the cluster that nobody has are unreachable:
without that, packets to them would leave by the machine's uplink.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from componentbase.host.mountinfo import mount_table
from mini_cluster.cluster.families import HOST_SUBNETS, IP_FAMILIES, POD_NETWORKS, Network, loopback_address
from mini_cluster.cluster.layout import Layout
from mini_cluster.cluster.state import (
    ClusterState,
    NodeState,
    address_is_free,
    choose_network,
    networks_in_use,
)
from mini_cluster.machine.commands import MachineCommandError, run, succeeds

NETNS_FOLDER = Path("/run/netns")
BRIDGE_FILTER = Path("/proc/sys/net/bridge")  # there once the kernel's module br_netfilter is loaded
CHOICE_LOCK = Path("/run/mini-kubernetes.lock")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
HOST_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/bridge/bridge-nf-call-iptables": "1",  # a Service's reply between pods of one host must pass its NAT
    "net/bridge/bridge-nf-call-ip6tables": "1",
}
HOST_FORWARDING6 = "net/ipv6/conf/all/forwarding"
PROGRAMS = {4: "iptables", 6: "ip6tables"}
UNREACHABLE_ANSWERS = {4: "icmp-host-unreachable", 6: "icmp6-addr-unreachable"}
AGENT_TABLES = ("mini-kubernetes-policy", "mini-kubernetes-masquerade")
"""Netagent's, of the family inet, which a host's namespace takes with it."""
LOOPBACK_OUT = "net/ipv4/conf/eth0/route_localnet"  # a host's connection to localhost may go to the machine


@dataclass(frozen=True)
class PacketRule:
    """A packet rule on the machine itself or in a host; `at_head` puts it before those that are there."""

    table: str
    chain: str
    match: tuple[str, ...]
    at_head: bool = True
    version: int = 4

    def command(self, action: str, comment: str) -> list[str]:
        """`action` is "-C", "-D", "-I" or "-A"."""
        tagged = ("-m", "comment", "--comment", comment)
        return [PROGRAMS[self.version], "-w", "-t", self.table, action, self.chain, *tagged, *self.match]


def machine_rules(bridge: str, state: ClusterState) -> list[PacketRule]:
    """Returns the rules by which hosts reach each other, the API server and the world; from there nobody gets in.

    Docker's own policy on the machine, or a firewall, would drop these packets.
    """
    answers = ("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED")
    elsewhere = [
        PacketRule("filter", "FORWARD", ("-o", bridge, "-s", state.pod_network, "-j", "ACCEPT"))
    ]  # pods on other machines
    ports = (state.ports.api, state.http_port, state.https_port)
    served = [("-i", bridge, "-p", "tcp", "--dport", str(port), "-j", "ACCEPT") for port in ports]
    rules = [
        *(elsewhere if state.join_address else ()),
        *(registry_rules(state, bridge) if state.registry_port else ()),
    ]
    for each in state.networks:
        outwards = ("-s", each.subnet, "!", "-o", bridge, "-j", "MASQUERADE")
        accepted = [
            *(("INPUT", match) for match in served),
            ("INPUT", ("-i", bridge, *answers, "-j", "ACCEPT")),
            ("FORWARD", ("-i", bridge, "-j", "ACCEPT")),
            ("FORWARD", ("-o", bridge, *answers, "-j", "ACCEPT")),
        ]
        if each.version == 6:  # by which neighbours find each other
            accepted.append(("INPUT", ("-i", bridge, "-p", "ipv6-icmp", "-j", "ACCEPT")))
        rules += [PacketRule("filter", chain, match, version=each.version) for chain, match in accepted]
        rules.append(PacketRule("nat", "POSTROUTING", outwards, at_head=False, version=each.version))
    return rules


def registry_rules(state: ClusterState, bridge: str = "") -> list[PacketRule]:
    """Returns the rules that lead from localhost to the registry: on the machine (with `bridge`), or in a host."""
    port = ("-p", "tcp", "--dport", str(state.registry_port))
    lead = ("-d", "127.0.0.1/32", *port, "-j", "DNAT", "--to-destination", f"{state.gateway}:{state.registry_port}")
    if bridge:
        return [
            PacketRule("nat", "OUTPUT", lead),
            PacketRule("filter", "INPUT", ("-i", bridge, *port, "-j", "ACCEPT")),
        ]
    # What lets packets of loopback out would let those of neighbours in.
    guard = ("!", "-i", "lo", "-d", "127.0.0.0/8", "-m", "conntrack", "!", "--ctstate", "RELATED,ESTABLISHED,DNAT")
    return [
        PacketRule("nat", "OUTPUT", lead),
        PacketRule("nat", "POSTROUTING", ("-s", "127.0.0.0/8", "-o", "eth0", "-j", "MASQUERADE")),
        PacketRule("filter", "INPUT", (*guard, "-j", "DROP")),
    ]


def link_commands(layout: Layout, state: ClusterState, node: NodeState) -> tuple[str, str]:
    """Returns `ip -batch` texts that lay a host's cable: for the machine, and for inside the host."""
    veth = layout.veth(node.index)
    outside = (
        f"link add name {veth} type veth peer name eth0 address {layout.host_link_address(node.index)} "
        f"netns {layout.netns(node.name)}\n"
        f"{_cable(layout, node)}\n"
    )
    inside = ["link set dev lo up", *(loopback_address(each.dns_address) for each in state.cluster_networks)]
    inside += [each.host_address(each.node_ip(node.index), "eth0") for each in state.networks]
    inside.append("link set dev eth0 up")
    for each in state.networks:
        # By the machine, which knows the routes to pods on other machines, and what is unreachable.
        by_machine = f"{each.pod_network} via {each.gateway}"
        inside += [
            f"route replace default via {each.gateway}",
            f"route replace {by_machine if state.join_address else f'unreachable {each.pod_network}'}",
        ]
    return outside, "\n".join(inside) + "\n"


def _cable(layout: Layout, node: NodeState) -> str:
    """Returns what puts the cable into the bridge, or pulls it. The host's own end keeps addresses and routes."""
    return f"link set dev {layout.veth(node.index)} master {layout.bridge} {'down' if node.disconnected else 'up'}"


def host_rules(state: ClusterState) -> list[PacketRule]:
    """Returns the rules inside a host, which come after kube-proxy's.

    A Service's address that kube-proxy has not translated goes nowhere: a route can't say that, as a host's own packet
    needs one before the rules see it.
    """
    rules = [*(registry_rules(state) if state.registry_port else ())]
    for each in state.networks:
        nowhere = ("-d", each.service_cidr, "-j", "REJECT", "--reject-with", UNREACHABLE_ANSWERS[each.version])
        elsewhere = ("!", "-o", "lo", *nowhere)  # the address of the DNS is the host's own
        for chain, match in (("OUTPUT", elsewhere), ("FORWARD", nowhere)):
            rules.append(PacketRule("filter", chain, match, False, each.version))
    return rules


def networks_of_machine() -> dict[Network, str]:
    """Returns every network that the machine routes or has an address in, with the name of its link."""
    used: dict[Network, str] = {}
    for family in ("-4", "-6"):
        routes = run(["ip", "-json", family, "route", "show", "table", "all"], check=False)
        used |= networks_in_use(routes, run(["ip", "-json", family, "address", "show"], check=False))
    return used


def claim_networks(layout: Layout, state: ClusterState) -> ClusterState:
    """Chooses networks for hosts and for pods, and takes them at once: another cluster may be choosing beside this one.

    What takes them are the routes that make unused addresses unreachable. Raises: StateError, MachineCommandError.
    """
    with CHOICE_LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        used = networks_of_machine()

        def choose(candidates: dict[int, list[Network]], version: int) -> str:
            return str(choose_network(candidates[version], used))

        state = replace(state, subnet=choose(HOST_SUBNETS, 4), pod_network=choose(POD_NETWORKS, 4))
        if 6 in IP_FAMILIES[state.ip_family]:
            state = replace(state, subnet6=choose(HOST_SUBNETS, 6), pod_network6=choose(POD_NETWORKS, 6))
        run(["ip", "-batch", "-"], stdin="\n".join(_unreachable(layout, state)) + "\n")
    if not all(address_is_free(state.gateway, port) for port in (state.http_port, state.https_port)):
        state = replace(state, http_port=8080, https_port=8443)  # a server on this machine has them at all addresses
    return state


def _unreachable(layout: Layout, state: ClusterState) -> list[str]:
    """Returns `ip -batch` lines; the metric tells these routes from those of other clusters."""
    networks = [network for each in state.networks for network in (each.service_cidr, each.pod_network, each.subnet)]
    return [f"route replace unreachable {network} metric {layout.route_metric}" for network in networks]


def ensure_machine(layout: Layout, state: ClusterState) -> None:
    """Makes the bridge and the packet rules. Raises: MachineCommandError."""
    bridge = layout.bridge
    if not BRIDGE_FILTER.exists() and shutil.which("modprobe"):
        run(["modprobe", "br_netfilter"], check=False)
    if not link_exists(bridge):
        # With an address of its own: else it takes that of a port, and another one when that host goes.
        run(["ip", "link", "add", "name", bridge, "address", layout.bridge_address, "type", "bridge"])
    commands = [each.host_address(each.gateway, bridge) for each in state.networks]
    commands += [f"link set dev {bridge} up", *_unreachable(layout, state)]
    run(["ip", "-batch", "-"], stdin="\n".join(commands) + "\n")
    for rule in machine_rules(bridge, state):
        if not succeeds(rule.command("-C", layout.rule_comment)):
            run(rule.command("-I" if rule.at_head else "-A", layout.rule_comment))


def ensure_host(layout: Layout, state: ClusterState, node: NodeState) -> None:
    """Makes the host's namespace, cable, addresses, routes and sysctls. Raises: MachineCommandError."""
    netns = layout.netns(node.name)
    if not netns_inode(netns):
        (NETNS_FOLDER / netns).unlink(missing_ok=True)
        run(["ip", "netns", "add", netns])
    outside, inside = link_commands(layout, state, node)
    if not run(["ip", "-n", netns, "link", "show", "dev", "eth0"], check=False):
        remove_link(layout.veth(node.index))  # of a namespace that is gone, the end here may linger
        run(["ip", "-batch", "-"], stdin=outside)
    else:
        run(["ip", *_cable(layout, node).split()])
    run(["ip", "-n", netns, "-batch", "-"], stdin=inside)
    sysctls = {name: value for name, value in HOST_SYSCTLS.items() if Path("/proc/sys", name).exists()}
    if state.registry_port:
        sysctls[LOOPBACK_OUT] = "1"
    if state.subnet6:
        sysctls[HOST_FORWARDING6] = "1"
    script = [f"echo {value} > /proc/sys/{name}" for name, value in sysctls.items()]
    for rule in host_rules(state):
        actions = ("-C", "-I" if rule.at_head else "-A")
        check, add = (" ".join(rule.command(action, layout.rule_comment)) for action in actions)
        script.append(f"{check} 2>/dev/null || {add}")
    run(["nsenter", f"--net={NETNS_FOLDER / netns}", "--", "sh", "-ec", "\n".join(script)])
    layout.node(node.name).run.mkdir(parents=True, exist_ok=True, mode=0o711)


def enable_forwarding() -> bool:
    """Lets the machine forward packets; True when it did not before."""
    if FORWARDING.read_text().strip() == "1":
        return False
    FORWARDING.write_text("1\n")
    return True


def remove_host(layout: Layout, node: NodeState) -> None:
    """Takes the host's cable and namespace away, once its processes are gone. Raises: MachineCommandError."""
    remove_link(layout.veth(node.index))
    netns = layout.netns(node.name)
    if (NETNS_FOLDER / netns).exists():
        run(["ip", "netns", "delete", netns])


def remove_machine(layout: Layout) -> None:
    """Takes the bridge, packet rules and routes away, whatever the state file says. Raises: MachineCommandError."""
    for name in os.listdir("/sys/class/net"):
        if name.startswith(f"{layout.bridge}-"):
            remove_link(name)
    for path in list_netns(layout):
        run(["ip", "netns", "delete", path])
    remove_link(layout.bridge)
    for program, table, rule in list_rules(layout):
        run([program, "-w", "-t", table, "-D", *rule])
    if shutil.which("nft"):
        for table in AGENT_TABLES:
            run(["nft", "delete", "table", "inet", table], check=False)  # there on a machine that has joined a cluster
    for route in list_unreachable_routes(layout):
        run(["ip", "route", "delete", "unreachable", route, "metric", str(layout.route_metric)])
    for address in list_dns_addresses(layout):
        run(["ip", "address", "delete", address, "dev", "lo"])
    for route, metric in list_routes_elsewhere(layout):
        run(["ip", "route", "delete", route, "metric", str(metric)])
    release_netns_folder()


def list_rules(layout: Layout) -> list[tuple[str, str, list[str]]]:
    """Returns this cluster's packet rules on the machine: the program, the table, and the words after the action."""
    rules = []
    for program, table in product(filter(shutil.which, PROGRAMS.values()), ("filter", "nat")):
        for line in run([program, "-w", "-t", table, "-S"], check=program == PROGRAMS[4]).splitlines():
            action, *words = line.split()
            if action == "-A" and layout.rule_comment in words:
                rules.append((program, table, words))
    return rules


def list_unreachable_routes(layout: Layout) -> list[str]:
    """Returns the destinations of this cluster's unreachable routes on the machine."""
    if not shutil.which("ip"):
        return []
    routes = []
    for family in ("-4", "-6"):
        routes += json.loads(run(["ip", "-json", family, "route", "show", "type", "unreachable"], check=False) or "[]")
    return [route["dst"] for route in routes if route.get("metric") == layout.route_metric]


def list_routes_elsewhere(layout: Layout) -> list[tuple[str, int]]:
    """Returns destination and metric of this cluster's routes to pods, and to other machines."""
    if not shutil.which("ip"):
        return []
    routes = []
    for family in ("-4", "-6"):
        routes += json.loads(run(["ip", "-json", family, "route", "show"], check=False) or "[]")
    metrics = (layout.node_route_metric, layout.hub_route_metric)
    return [(route["dst"], route["metric"]) for route in routes if route.get("metric") in metrics]


def list_dns_addresses(layout: Layout) -> list[str]:
    """Returns the addresses of this cluster's DNS on the machine's own loopback, with their prefix lengths."""
    if not shutil.which("ip"):
        return []
    (loopback,) = json.loads(run(["ip", "-json", "-4", "address", "show", "dev", "lo"]))
    addresses = [item for item in loopback["addr_info"] if item.get("label") == layout.loopback_label]
    return [f"{item['local']}/{item['prefixlen']}" for item in addresses]


def list_netns(layout: Layout) -> list[str]:
    """Returns the names of this cluster's network namespaces."""
    prefix = layout.netns("")
    return sorted(path.name for path in NETNS_FOLDER.glob(f"{prefix}*")) if NETNS_FOLDER.is_dir() else []


def release_netns_folder(folder: Path = NETNS_FOLDER) -> None:
    """Undoes the mount of its folder on itself that `ip netns` makes at its first use, once no namespace is left.

    A mount that is busy stays: somebody has begun to use it.
    """
    if folder.is_dir() and not any(folder.iterdir()):
        while is_mounted(folder) and succeeds(["umount", str(folder)]):
            pass


def is_mounted(folder: Path) -> bool:
    """Tells whether something is mounted there; `Path.is_mount` doesn't see a folder that is mounted on itself."""
    return any(entry.path == str(folder) for entry in mount_table())


def disable_forwarding() -> None:
    """Undoes `enable_forwarding`, unless another cluster or Docker on the machine needs it."""
    names = os.listdir("/sys/class/net")
    if not any(name.startswith(("docker", "br-", "mk")) for name in names):
        FORWARDING.write_text("0\n")


def remove_link(name: str) -> None:
    """Removes a link, which may also go by itself meanwhile with its namespace.

    Raises: MachineCommandError when it stays.
    """
    if not link_exists(name):
        return
    try:
        run(["ip", "link", "delete", "dev", name])
    except MachineCommandError:
        if link_exists(name):
            raise


def link_exists(name: str) -> bool:
    return os.path.exists(f"/sys/class/net/{name}")


def netns_inode(name: str) -> int:
    """Returns the inode that tells the namespace from others; 0 when there is none (a plain file without its mount)."""
    path = NETNS_FOLDER / name
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0
    return status.st_ino if status.st_dev != path.parent.stat().st_dev else 0
