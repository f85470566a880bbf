"""`options`: lists the flags that every verb has."""

from __future__ import annotations

import argparse

from kubectl.invocation.command import Command, CommandContext, no_flags
from kubectl.invocation.flags import add_connection_flags
from kubectl.invocation.parser import CONNECTION, Parser


def run(context: CommandContext, args: argparse.Namespace) -> None:
    context.print("The following options can be passed to any command:\n")
    parser = Parser(add_help=False)
    add_connection_flags(parser)
    for action in parser.sections[CONNECTION]:
        names = ", ".join(action.option_strings)
        value = f" {action.metavar or action.dest.upper()}" if action.nargs is None else ""
        context.print(f"    {names}{value}\n        {action.help}\n")


COMMAND = Command("options", "List the flags that every verb has", no_flags, run, examples="  mini-kubectl options")
