"""`cordon`: keeps new pods off a node."""

from __future__ import annotations

import argparse

from kubectl.cli.command import Command, Context
from kubectl.commands import _nodes


def run(context: Context, args: argparse.Namespace) -> None:
    for node, obj in _nodes.nodes(context, args, "cordon"):
        _nodes.set_unschedulable(context, args, node, obj, True)


COMMAND = Command(
    "cordon", "Keep new pods off a node", _nodes.configure, run, examples="  mini-kubectl cordon worker-1"
)
