"""The agent's command line."""

from __future__ import annotations

from dataclasses import dataclass

from componentbase import flags
from componentbase.hostnetwork import add_host_network_flag

PORT = 10261


@dataclass(frozen=True, slots=True)
class Options:
    kubeconfig: str
    node_name: str
    health_address: str
    health_port: int
    cleanup: bool
    host_netns_file: str
    log_file: str
    verbosity: int


def parse(argv: list[str] | None = None) -> Options:
    """Exits with a message on a bad command line, as argparse does."""
    parser = flags.base_parser("netagent", "Keeps a node's network as the API says: policies in packet rules.")
    parser.add_argument("--hostname-override", default="", metavar="NODE", help="name of this node")
    parser.add_argument(
        "--health-address", default="127.0.0.1", metavar="IP", help="where health and metrics are served"
    )
    parser.add_argument("--health-port", type=int, default=PORT, metavar="PORT", help=f"their port (default {PORT})")
    add_host_network_flag(parser)
    flags.add_bool(parser, "--cleanup", False, "remove all that the agent keeps on this node, and exit")
    args = parser.parse_args(argv)
    return flags.fill(Options, args, node_name=args.hostname_override or flags.host_name())
