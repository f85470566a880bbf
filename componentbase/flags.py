"""Parses command lines with upstream's flag names and spelling: `--flag`, `--flag=false`, durations such as `1m30s`."""

from __future__ import annotations

import argparse
import socket
from dataclasses import dataclass, fields
from importlib import metadata
from typing import Any, Self, TypeVar

from apimachinery.text import durations

T = TypeVar("T")

TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))  # as Go reads booleans
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))


def version() -> str:
    """Returns the version that every component reports, e.g. "v1.35.0"."""
    return "v" + metadata.version("mini-kubernetes")


def parse_duration(text: str) -> float:
    """Converts to seconds: "1m30s" -> 90.0. Raises: argparse.ArgumentTypeError."""
    try:
        return durations.parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse_bool(text: str) -> bool:
    """Raises: argparse.ArgumentTypeError."""
    if text in TRUE:
        return True
    if text in _FALSE:
        return False
    raise argparse.ArgumentTypeError(f"invalid boolean {text!r}: write true or false")


def parse_list(text: str) -> list[str]:
    """Splits a list: "a,b" -> ["a", "b"]; "" -> []."""
    return [item.strip() for item in text.split(",") if item.strip()]


def parse_map(text: str) -> dict[str, str]:
    """Splits a map: "a=1,b=2" -> {"a": "1", "b": "2"}. Raises: argparse.ArgumentTypeError for an item without "="."""
    values: dict[str, str] = {}
    for item in parse_list(text):
        key, equals, value = item.partition("=")
        if not equals:
            raise argparse.ArgumentTypeError(f"invalid item {item!r}: write key=value")
        values[key] = value
    return values


def add_bool(parser: argparse._ActionsContainer, flag: str, default: bool, help: str) -> None:
    """Adds a flag that is written `--flag`, `--flag=true` or `--flag=false`."""
    parser.add_argument(flag, nargs="?", const=True, default=default, type=parse_bool, metavar="true|false", help=help)


def add_duration(parser: argparse._ActionsContainer, flag: str, default_seconds: float, help: str) -> None:
    """Adds a flag whose value is a number of seconds (float)."""
    help = f"{help} (default {default_seconds:g}s)"
    parser.add_argument(flag, type=parse_duration, default=default_seconds, metavar="DURATION", help=help)


def fill(options: type[T], args: argparse.Namespace, **values: Any) -> T:
    """Makes `options`, a daemon's frozen dataclass, from the flags that its fields are named after.

    `values` are the other fields, and those whose value is worked out from several flags.
    """
    names = {field.name for field in fields(options)} - values.keys()  # type: ignore[arg-type]
    return options(**{name: getattr(args, name) for name in names}, **values)


def base_parser(
    prog: str,
    description: str,
    *,
    secure_port: int = 0,
    kubeconfig: bool = True,
    leader_elect: bool = False,
) -> argparse.ArgumentParser:
    """Makes a parser with the flags that daemons share.

    `secure_port` is the default of --secure-port; 0 leaves the serving flags out, for a daemon that names them
    otherwise. `leader_elect` adds the --leader-elect… family.
    """
    parser = argparse.ArgumentParser(prog=prog, description=description, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"Kubernetes {version()}")
    logs = parser.add_argument_group("logs")
    logs.add_argument("--log-file", default="", metavar="FILE", help="write logs to FILE instead of standard error")
    logs.add_argument(
        "-v", "--v", dest="verbosity", type=int, default=0, metavar="LEVEL", help="log verbosity; 4 and above is debug"
    )
    if kubeconfig:
        parser.add_argument("--kubeconfig", default="", metavar="FILE", help="how to reach the API server")
    if secure_port:
        add_serving(parser, secure_port)
    if leader_elect:
        add_leader_election(parser, prog)
    return parser


def add_serving(parser: argparse.ArgumentParser, secure_port: int) -> None:
    """Adds the flags of serving HTTPS."""
    parser.add_argument("--bind-address", default="0.0.0.0", metavar="IP", help="address to serve HTTPS on")
    parser.add_argument(
        "--secure-port", type=int, default=secure_port, metavar="PORT", help=f"HTTPS port (default {secure_port})"
    )
    parser.add_argument("--tls-cert-file", default="", metavar="FILE", help="serving certificate (PEM)")
    parser.add_argument("--tls-private-key-file", default="", metavar="FILE", help="its private key (PEM)")
    parser.add_argument(
        "--client-ca-file", default="", metavar="FILE", help="authority whose client certificates are accepted (PEM)"
    )
    parser.add_argument(
        "--cert-dir", default="", metavar="DIR", help="where a self-signed certificate is kept when none is given"
    )


@dataclass(frozen=True, slots=True)
class Serving:
    """Where and how a daemon serves HTTPS: the values of `add_serving`'s flags."""

    bind_address: str
    port: int
    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    cert_dir: str = ""
    """Where a certificate is made when none is given; "" for a temporary folder."""

    @classmethod
    def of(cls, args: argparse.Namespace) -> Self:
        return cls(
            args.bind_address,
            args.secure_port,
            args.tls_cert_file,
            args.tls_private_key_file,
            args.client_ca_file,
            args.cert_dir,
        )


def add_leader_election(parser: argparse.ArgumentParser, name: str) -> None:
    add_bool(parser, "--leader-elect", True, "work only while holding the Lease, so that several can stand by")
    add_duration(parser, "--leader-elect-lease-duration", 15, "how long others wait after the last renewal")
    add_duration(parser, "--leader-elect-renew-deadline", 10, "how long the leader tries to renew before it gives up")
    add_duration(parser, "--leader-elect-retry-period", 2, "wait between tries")
    parser.add_argument("--leader-elect-resource-name", default=name, metavar="NAME", help="name of the Lease")
    parser.add_argument(
        "--leader-elect-resource-namespace", default="kube-system", metavar="NAMESPACE", help="its namespace"
    )


def host_name() -> str:
    """Returns this host's name as Kubernetes uses it: in lower case."""
    return socket.gethostname().lower()
