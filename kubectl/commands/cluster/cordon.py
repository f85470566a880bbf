"""`cordon`: keeps new pods off a node."""

from __future__ import annotations

import argparse

from kubectl.commands.cluster import _nodes
from kubectl.input import candidates
from kubectl.invocation.command import Command, CommandContext


def run(context: CommandContext, args: argparse.Namespace) -> None:
    for node, obj in _nodes.nodes(context, args, "cordon"):
        _nodes.set_unschedulable(context, args, node, obj, True)


COMMAND = Command(
    "cordon",
    "Keep new pods off a node",
    _nodes.configure,
    run,
    completes=candidates.nodes,
    examples="  mini-kubectl cordon worker-1",
)
