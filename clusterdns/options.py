"""kube-dns' command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from apimachinery.validation import IPNetwork
from componentbase import flags
from componentbase.host.hostnetwork import add_host_network_flag


@dataclass(frozen=True, slots=True)
class Options:
    kubeconfig: str
    node_name: str
    addresses: tuple[str, ...]
    port: int
    metrics_port: int
    health_address: str
    """Where /health and /ready are answered too; "" for nowhere else."""
    clients: tuple[IPNetwork, ...]
    """The networks whose queries are answered, those of `addresses` and loopback among them."""
    resolv_conf: str
    host_netns_file: str
    log_file: str
    verbosity: int


def parse(argv: list[str] | None = None) -> Options:
    """Exits with a message on a bad command line, as argparse does."""
    args = _parser().parse_args(argv)
    own = [ip_network(text) for text in (*args.bind_address, "127.0.0.0/8", "::1")]
    return flags.fill(
        Options,
        args,
        node_name=args.hostname_override or flags.host_name(),
        addresses=tuple(args.bind_address),
        clients=(*args.client_cidrs, *own),
    )


def _parser() -> argparse.ArgumentParser:
    parser = flags.base_parser("kube-dns", "Answers the DNS queries of one node's pods, for the cluster and the world.")
    parser.add_argument("--hostname-override", default="", metavar="NODE", help="name of this node")
    parser.add_argument(
        "--bind-address",
        type=_addresses,
        default=["10.96.0.10"],
        metavar="IP[,IP]",
        help="addresses of the kube-dns Service, which this host must have (default 10.96.0.10)",
    )
    parser.add_argument("--port", type=int, default=53, help="port for queries (default 53)")
    parser.add_argument(
        "--metrics-port", type=int, default=9153, help="port for /metrics, /health and /ready (default 9153)"
    )
    parser.add_argument(
        "--health-address", default="", metavar="IP", help="the node's, where /health and /ready are answered too"
    )
    parser.add_argument(
        "--client-cidrs",
        type=_networks,
        default=[],
        metavar="CIDR[,CIDR]",
        help="who gets answers beside this host's loopback: pods, and the node's own address",
    )
    parser.add_argument(
        "--resolv-conf",
        default="/etc/resolv.conf",
        metavar="FILE",
        help="the node's resolver configuration, which /etc/resolv.conf in the Corefile means",
    )
    add_host_network_flag(parser)
    return parser


def _addresses(text: str) -> list[str]:
    try:
        return [str(ip_address(part)) for part in flags.parse_list(text)]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _networks(text: str) -> list[IPNetwork]:
    try:
        return [ip_network(part, strict=False) for part in flags.parse_list(text)]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
