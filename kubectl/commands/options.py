"""`options`: the flags that every verb has."""

from __future__ import annotations

import argparse

from kubectl.cli.command import Command, Context


def configure(parser: argparse.ArgumentParser) -> None:
    """No flags of its own."""


def run(context: Context, args: argparse.Namespace) -> None:
    from kubectl.cli.main import global_flags

    context.print("The following options can be passed to any command:\n")
    for action in global_flags(argparse.SUPPRESS)._actions:
        names = ", ".join(action.option_strings)
        value = f" {action.metavar or action.dest.upper()}" if action.nargs is None else ""
        context.print(f"    {names}{value}\n        {action.help}\n")


COMMAND = Command("options", "List the flags that every verb has", configure, run, examples="  mini-kubectl options")
