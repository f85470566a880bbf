"""`version`: shows the versions of this client and of the server."""

from __future__ import annotations

import argparse
from importlib.metadata import version as installed_version

from kubectl.invocation.command import Command, CommandContext
from kubectl.invocation.parser import choice
from kubectl.output.printers import object_printer

OUTPUT = choice("", "json", "yaml", refusal="--output must be 'yaml' or 'json'")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--client", action="store_true", help="do not ask the server")
    parser.add_argument("-o", "--output", default="", type=OUTPUT, metavar="json|yaml")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    client = f"v{installed_version('mini-kubernetes')}"
    versions: dict[str, object] = {"clientVersion": {"gitVersion": client}}
    if not args.output:
        context.print(f"Client Version: {client}")
    if not args.client:
        versions["serverVersion"] = context.api.request("GET", "/version")
    if args.output:
        context.out.write(object_printer(args.output)(versions))
        return
    if not args.client:
        context.print(f"Server Version: {versions['serverVersion']['gitVersion']}")  # type: ignore[index]


COMMAND = Command(
    "version",
    "Show the versions of client and server",
    configure,
    run,
    examples="""\
  mini-kubectl version
  # Without asking the server, for scripts
  mini-kubectl version --client -o json""",
)
