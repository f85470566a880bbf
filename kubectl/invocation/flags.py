"""Flags that several verbs share, and small parsers of their values."""

from __future__ import annotations

import argparse
import re
from functools import partial

from kubectl.invocation.parser import CONNECTION, Parser, boolean, choice

FORMATS = "custom-columns,custom-columns-file,json,jsonpath,jsonpath-as-json,jsonpath-file,name,wide,yaml"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def add_connection_flags(parser: Parser) -> None:
    """Adds the flags that every verb has. One that is not given leaves no attribute."""
    add = partial(parser.add_argument, section=CONNECTION, default=argparse.SUPPRESS)
    add("--kubeconfig", metavar="FILE", help="instead of $KUBECONFIG or ~/.kube/config")
    add("--context", metavar="NAME", help="a context of the kubeconfig instead of its current one")
    add("-n", "--namespace", metavar="NAME", help="instead of the context's namespace")
    add("-s", "--server", metavar="URL", help="address of the API server")
    add("--token", help="bearer token")
    add("--as", dest="as_user", metavar="USER", help="run in this user's name (a right that few have)")
    add("--as-group", action="append", metavar="GROUP", help="as a member of this group; may be repeated, needs --as")
    add("--as-uid", metavar="UID", help="with this uid, needs --as")
    add("--insecure-skip-tls-verify", action="store_true", help="accept any server certificate")
    add("--request-timeout", type=duration, metavar="TIME", help="give up on one request, e.g. 10s")


def add_selector(parser: argparse.ArgumentParser, *, fields: bool = False) -> None:
    parser.add_argument("-l", "--selector", default="", help="label query, e.g. app=web,tier!=cache")
    if fields:
        parser.add_argument("--field-selector", default="", help="field query, e.g. status.phase=Running")


def add_all_namespaces(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="objects of all namespaces")


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dry-run", nargs="?", const="client", default="none", metavar="none|client|server",
        type=choice(
            "none", "client", "server",
            refusal='Invalid dry-run value (%s). Must be "none", "server", or "client".',
        ),
        help="client: only print what would be sent; server: let the server check it without storing",
    )  # fmt: skip


def add_output(parser: argparse.ArgumentParser, default: str = "") -> None:
    """Adds -o and --show-managed-fields, for `printer_of`."""
    parser.add_argument("-o", "--output", default=default, help=f"one of {FORMATS}")
    add_bool(parser, "--show-managed-fields", default=False, help="metadata.managedFields too, in YAML and JSON")


def add_bool(parser: argparse.ArgumentParser, *names: str, default: bool | None, help: str) -> None:
    """Adds a switch as kubectl's are: `--wait`, `--wait=false`. `default` None tells that it was not given."""
    parser.add_argument(*names, nargs="?", const=True, default=default, type=boolean, metavar="BOOL", help=help)


def duration(text: str) -> float:
    """Reads seconds: "30", "30s", "1m30s", "500ms"; argparse reports a bad one."""
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text.lstrip("-"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration such as 30s or 1m30s")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return -seconds if text.startswith("-") else seconds


def dry_run_params(dry_run: str) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run == "server" else {}


def dry_run_suffix(dry_run: str) -> str:
    return {"client": " (dry run)", "server": " (server dry run)"}.get(dry_run, "")
