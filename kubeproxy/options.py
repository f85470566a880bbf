"""kube-proxy's command line, in upstream's flag names."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from componentbase import flags
from componentbase.configfile import ConfigFileError
from componentbase.host.hostnetwork import add_host_network_flag
from kubeproxy.configuration import add_config_flag, take_file
from kubeproxy.settings import PRIMARY, Family, LocalBy, LocalTraffic, Mode, of_family


@dataclass(frozen=True, slots=True)
class Options:
    kubeconfig: str
    proxy_mode: Mode
    node_name: str
    cluster_cidrs: tuple[str, ...]
    detect_local_mode: LocalBy
    pod_bridge_interface: str
    pod_interface_name_prefix: str
    nodeport_addresses: tuple[str, ...]
    """Networks and "primary"; empty for any address of the node's."""
    masquerade_all: bool
    masquerade_bit: int
    localhost_node_ports: bool
    min_sync_seconds: float
    sync_seconds: float
    metrics_address: tuple[str, int]
    healthz_address: tuple[str, int]
    cleanup: bool
    host_netns_file: str
    log_file: str
    verbosity: int

    def local_traffic(self, family: Family, node_pod_cidrs: tuple[str, ...]) -> LocalTraffic | None:
        """Returns how pods' traffic is told from other; None where it can't be in this family."""
        match self.detect_local_mode:
            case LocalBy.BRIDGE_INTERFACE:
                return LocalTraffic(interface=self.pod_bridge_interface)
            case LocalBy.INTERFACE_NAME_PREFIX:
                return LocalTraffic(interface=f"{self.pod_interface_name_prefix}*")
        by_node = self.detect_local_mode is LocalBy.NODE_CIDR
        network = of_family(node_pod_cidrs if by_node else self.cluster_cidrs, family)
        return LocalTraffic(network=network) if network else None


def parse(argv: list[str] | None = None) -> Options:
    """Exits with a message on a bad command line, as argparse does."""
    parser = _parser()
    try:
        take_file(parser, argv)
    except ConfigFileError as error:
        parser.error(f"--config: {error}")
    args = parser.parse_args(argv)
    if args.detect_local_mode is LocalBy.BRIDGE_INTERFACE and not args.pod_bridge_interface:
        parser.error("--pod-bridge-interface: required with --detect-local-mode=BridgeInterface")
    if args.detect_local_mode is LocalBy.INTERFACE_NAME_PREFIX and not args.pod_interface_name_prefix:
        parser.error("--pod-interface-name-prefix: required with --detect-local-mode=InterfaceNamePrefix")
    node_ports_on = args.nodeport_addresses
    if node_ports_on is None:  # upstream's defaults differ by mode
        node_ports_on = (PRIMARY,) if args.proxy_mode is Mode.NFTABLES else ()
    return flags.fill(
        Options,
        args,
        node_name=args.hostname_override or flags.host_name(),
        cluster_cidrs=args.cluster_cidr,
        nodeport_addresses=node_ports_on,
        masquerade_bit=args.iptables_masquerade_bit,
        localhost_node_ports=args.iptables_localhost_nodeports and args.proxy_mode is Mode.IPTABLES,
        min_sync_seconds=args.iptables_min_sync_period,
        sync_seconds=args.iptables_sync_period,
        metrics_address=args.metrics_bind_address,
        healthz_address=args.healthz_bind_address,
    )


def _parser() -> argparse.ArgumentParser:
    parser = flags.base_parser("kube-proxy", "Routes Services' addresses to their endpoints, with packet rules.")
    add_config_flag(parser)
    add = parser.add_argument
    add("--proxy-mode", type=Mode, choices=list(Mode), default=Mode.IPTABLES, help="the kind of packet rules")
    add("--hostname-override", default="", metavar="NODE", help="name of this node")
    add("--cluster-cidr", type=_cidrs, default=(), help="pods' addresses; traffic from elsewhere is masqueraded")
    add(
        "--detect-local-mode",
        type=LocalBy,
        choices=list(LocalBy),
        default=LocalBy.CLUSTER_CIDR,
        help="how to tell pods' traffic from other",
    )
    add("--pod-bridge-interface", default="", metavar="NAME", help="with BridgeInterface: the bridge of the pods")
    add(
        "--pod-interface-name-prefix", default="", metavar="TEXT", help="with InterfaceNamePrefix: as pods' links begin"
    )
    add(
        "--nodeport-addresses",
        type=_node_port_networks,
        default=None,
        metavar="CIDR,…",
        help='networks in which NodePorts answer, or "primary" (default: all with iptables, primary with nftables)',
    )
    flags.add_bool(parser, "--masquerade-all", False, "masquerade all traffic to ClusterIPs")
    add("--iptables-masquerade-bit", type=_bit, default=14, help="bit of the packet mark (0-31)")
    flags.add_bool(parser, "--iptables-localhost-nodeports", True, "answer NodePorts on 127.0.0.1 too")
    flags.add_duration(parser, "--iptables-min-sync-period", 1, "least time between two syncs, in both modes")
    flags.add_duration(parser, "--iptables-sync-period", 30, "time between looks at what no event tells, in both modes")
    add("--metrics-bind-address", type=_address(10249), default=("127.0.0.1", 10249), metavar="IP:PORT")
    add("--healthz-bind-address", type=_address(10256), default=("0.0.0.0", 10256), metavar="IP:PORT")
    add_host_network_flag(parser)
    flags.add_bool(parser, "--cleanup", False, "remove all of kube-proxy's rules, of both modes, and exit")
    return parser


def _cidrs(text: str) -> tuple[str, ...]:
    """Raises: argparse.ArgumentTypeError."""
    try:
        return tuple(str(ip_network(part, strict=False)) for part in flags.parse_list(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _node_port_networks(text: str) -> tuple[str, ...]:
    """Raises: argparse.ArgumentTypeError."""
    return (PRIMARY,) if text == PRIMARY else _cidrs(text)


def _bit(text: str) -> int:
    if not text.isdigit() or int(text) > 31:
        raise argparse.ArgumentTypeError(f"invalid bit {text!r}: write 0 to 31")
    return int(text)


def _address(default_port: int) -> Callable[[str], tuple[str, int]]:
    """Parses "IP:PORT", "[IP]:PORT" or "IP" (with the default port)."""

    def parse_address(text: str) -> tuple[str, int]:
        host, colon, port = text.rpartition(":")
        if not colon or (text.count(":") > 1 and not text.startswith("[")):
            host, port = text, str(default_port)
        try:
            ip_address(host.strip("[]"))
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        if not port.isdigit() or int(port) > 65535:
            raise argparse.ArgumentTypeError(f"invalid port {port!r}")
        return host.strip("[]"), int(port)

    return parse_address
