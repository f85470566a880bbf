"""`uncordon`: lets a node take new pods again."""

from __future__ import annotations

import argparse

from kubectl.cli.command import Command, Context
from kubectl.commands import _nodes


def run(context: Context, args: argparse.Namespace) -> None:
    for node, obj in _nodes.nodes(context, args, "uncordon"):
        _nodes.set_unschedulable(context, args, node, obj, False)


COMMAND = Command(
    "uncordon", "Let a node take new pods again", _nodes.configure, run, examples="  mini-kubectl uncordon worker-1"
)
