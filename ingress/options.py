"""The controller's command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from componentbase import flags

HEALTH_PORT = 10254


@dataclass(frozen=True, slots=True)
class Options:
    kubeconfig: str
    addresses: tuple[str, ...]
    http_port: int
    https_port: int
    publish: tuple[str, ...]
    folder: Path
    health_address: str
    health_port: int
    log_file: str
    verbosity: int


def parse(argv: list[str] | None = None) -> Options:
    """Exits with a message on a bad command line, as argparse does."""
    parser = flags.base_parser("ingress-controller", "Serves Ingresses by HAProxy.")
    parser.add_argument(
        "--bind-address", type=_addresses, default=("0.0.0.0",), metavar="IP,…", help="where requests are served"
    )
    parser.add_argument("--http-port", type=int, default=80, metavar="PORT", help="port for HTTP (default 80)")
    parser.add_argument("--https-port", type=int, default=443, metavar="PORT", help="port for HTTPS (default 443)")
    parser.add_argument(
        "--publish-status-address",
        type=flags.parse_list,
        default=[],
        metavar="ADDRESS,…",
        help="IP addresses or names for the status of Ingresses (default: --bind-address)",
    )
    parser.add_argument(
        "--work-dir", type=Path, default=Path("/run/ingress-controller"), metavar="DIR", help="the proxy's files"
    )
    parser.add_argument(
        "--health-address", default="127.0.0.1", metavar="IP", help="where health and metrics are served"
    )
    parser.add_argument("--health-port", type=int, default=HEALTH_PORT, metavar="PORT", help="their port")
    args = parser.parse_args(argv)
    return flags.fill(
        Options,
        args,
        addresses=args.bind_address,
        publish=tuple(args.publish_status_address or args.bind_address),
        folder=args.work_dir.absolute(),
    )


def _addresses(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(ip_address(item)) for item in flags.parse_list(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
