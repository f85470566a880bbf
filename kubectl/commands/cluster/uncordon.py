"""`uncordon`: lets a node take new pods again."""

from __future__ import annotations

import argparse

from kubectl.commands.cluster import _nodes
from kubectl.input import candidates
from kubectl.invocation.command import Command, CommandContext


def run(context: CommandContext, args: argparse.Namespace) -> None:
    for node, obj in _nodes.nodes(context, args, "uncordon"):
        _nodes.set_unschedulable(context, args, node, obj, False)


COMMAND = Command(
    "uncordon",
    "Let a node take new pods again",
    _nodes.configure,
    run,
    completes=candidates.nodes,
    examples="  mini-kubectl uncordon worker-1",
)
