"""`api-versions`: lists the groups and versions that the server has."""

from __future__ import annotations

import argparse

from kubectl.invocation.command import Command, CommandContext, no_flags


def run(context: CommandContext, args: argparse.Namespace) -> None:
    versions = {
        f"{v['groupVersion']}" for group in context.api.request("GET", "/apis")["groups"] for v in group["versions"]
    }
    for version in sorted(versions | set(context.api.request("GET", "/api")["versions"])):
        context.print(version)


COMMAND = Command(
    "api-versions", "List the API versions the server has", no_flags, run, examples="  mini-kubectl api-versions"
)
