"""kube-proxy's command line, in upstream's flag names."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from componentbase import flags
from componentbase.hostnetwork import add_host_network_flag


@dataclass(frozen=True, slots=True)
class Options:
    kubeconfig: str
    node_name: str
    cluster_cidr: str
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


def parse(argv: list[str] | None = None) -> Options:
    """Exits with a message on a bad command line, as argparse does."""
    args = _parser().parse_args(argv)
    return flags.fill(
        Options,
        args,
        node_name=args.hostname_override or flags.host_name(),
        masquerade_bit=args.iptables_masquerade_bit,
        localhost_node_ports=args.iptables_localhost_nodeports,
        min_sync_seconds=args.iptables_min_sync_period,
        sync_seconds=args.iptables_sync_period,
        metrics_address=args.metrics_bind_address,
        healthz_address=args.healthz_bind_address,
    )


def _parser() -> argparse.ArgumentParser:
    parser = flags.base_parser("kube-proxy", "Routes Services' addresses to their endpoints, with iptables.")
    parser.add_argument("--hostname-override", default="", metavar="NODE", help="name of this node")
    parser.add_argument(
        "--cluster-cidr", type=_cidr, default="", help="pods' addresses; traffic from elsewhere is masqueraded"
    )
    flags.add_bool(parser, "--masquerade-all", False, "masquerade all traffic to ClusterIPs")
    parser.add_argument("--iptables-masquerade-bit", type=_bit, default=14, help="bit of the packet mark (0-31)")
    flags.add_bool(parser, "--iptables-localhost-nodeports", True, "answer NodePorts on 127.0.0.1 too")
    flags.add_duration(parser, "--iptables-min-sync-period", 1, "least time between two syncs")
    flags.add_duration(parser, "--iptables-sync-period", 30, "time after which the rules are synced anyway")
    parser.add_argument("--metrics-bind-address", type=_address(10249), default=("127.0.0.1", 10249), metavar="IP:PORT")
    parser.add_argument("--healthz-bind-address", type=_address(10256), default=("0.0.0.0", 10256), metavar="IP:PORT")
    add_host_network_flag(parser)
    flags.add_bool(parser, "--cleanup", False, "remove all of kube-proxy's rules and exit")
    return parser


def _cidr(text: str) -> str:
    """Raises: argparse.ArgumentTypeError. Of a dual-stack pair the IPv4 part counts."""
    try:
        networks = [ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return next((str(network) for network in networks if network.version == 4), "")


def _bit(text: str) -> int:
    if not text.isdigit() or int(text) > 31:
        raise argparse.ArgumentTypeError(f"invalid bit {text!r}: write 0 to 31")
    return int(text)


def _address(default_port: int) -> Callable[[str], tuple[str, int]]:
    """Parses "IP:PORT" or "IP" (with the default port)."""

    def parse_address(text: str) -> tuple[str, int]:
        host, colon, port = text.rpartition(":")
        if not colon:
            host, port = text, str(default_port)
        try:
            ip_address(host)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        if not port.isdigit() or int(port) > 65535:
            raise argparse.ArgumentTypeError(f"invalid port {port!r}")
        return host, int(port)

    return parse_address
