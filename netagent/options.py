"""The agent's command line."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network

from componentbase import flags
from componentbase.host.hostnetwork import add_host_network_flag
from netagent.routes.overlay import MODES

PORT = 10261
ROUTE_METRIC = 7800


@dataclass(frozen=True, slots=True)
class Options:
    kubeconfig: str
    node_name: str
    rooms: list[str]
    """Those to run; none for all."""
    route_metric: int
    overlay: str
    """One of MODES."""
    non_masquerade_cidrs: list[str]
    """Networks that pods reach with addresses of their own."""
    health_address: str
    health_port: int
    cleanup: bool
    host_netns_file: str
    log_file: str
    verbosity: int


PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")


def _networks(text: str) -> list[str]:
    """Raises: ValueError."""
    return [str(ip_network(cidr)) for cidr in flags.parse_list(text)]


def parse(argv: list[str] | None = None) -> Options:
    """Exits with a message on a bad command line, as argparse does."""
    parser = flags.base_parser("netagent", "Keeps a node's network as the API says: policies, routes, balancers.")
    parser.add_argument("--hostname-override", default="", metavar="NODE", help="name of this node")
    parser.add_argument(
        "--rooms",
        type=flags.parse_list,
        default=[],
        metavar="NAME,…",
        help="parts of the network to keep (default all)",
    )
    help = f"metric of the routes to other nodes' pods, by which the agent knows its own (default {ROUTE_METRIC})"
    parser.add_argument("--route-metric", type=int, default=ROUTE_METRIC, metavar="N", help=help)
    parser.add_argument(
        "--overlay",
        choices=MODES,
        default=MODES[0],
        help="which nodes' pods are reached by VXLAN: of those that no link of this node leads to, all, or none",
    )
    parser.add_argument(
        "--non-masquerade-cidrs",
        type=_networks,
        default=list(PRIVATE),
        metavar="CIDR,…",
        help="networks that pods reach with addresses of their own, and all others with the node's (default: the "
        "private ones)",
    )
    parser.add_argument(
        "--health-address", default="127.0.0.1", metavar="IP", help="where health and metrics are served"
    )
    parser.add_argument("--health-port", type=int, default=PORT, metavar="PORT", help=f"their port (default {PORT})")
    add_host_network_flag(parser)
    flags.add_bool(parser, "--cleanup", False, "remove all that the agent keeps on this node, and exit")
    args = parser.parse_args(argv)
    return flags.fill(Options, args, node_name=args.hostname_override or flags.host_name())
