"""The agent's command line."""

from __future__ import annotations

from dataclasses import dataclass

from componentbase import flags
from componentbase.host.hostnetwork import add_host_network_flag

PORT = 10261
ROUTE_METRIC = 7800


@dataclass(frozen=True, slots=True)
class Options:
    kubeconfig: str
    node_name: str
    rooms: list[str]
    """Those to run; none for all."""
    route_metric: int
    health_address: str
    health_port: int
    cleanup: bool
    host_netns_file: str
    log_file: str
    verbosity: int


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
        "--health-address", default="127.0.0.1", metavar="IP", help="where health and metrics are served"
    )
    parser.add_argument("--health-port", type=int, default=PORT, metavar="PORT", help=f"their port (default {PORT})")
    add_host_network_flag(parser)
    flags.add_bool(parser, "--cleanup", False, "remove all that the agent keeps on this node, and exit")
    args = parser.parse_args(argv)
    return flags.fill(Options, args, node_name=args.hostname_override or flags.host_name())
