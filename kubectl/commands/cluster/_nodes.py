"""Flags and actions that `cordon`, `uncordon` and `drain` share."""

from __future__ import annotations

import argparse

from kubectl.api.client import MERGE_PATCH, Dict
from kubectl.input.targets import Target, items_of, list_objects
from kubectl.invocation.command import CommandContext, UsageError
from kubectl.invocation.flags import add_dry_run, add_selector, dry_run_params, dry_run_suffix


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("nodes", nargs="*", metavar="NODE")
    add_selector(parser)
    add_dry_run(parser)


def nodes(context: CommandContext, args: argparse.Namespace, verb: str) -> list[tuple[Target, Dict]]:
    """Reads all nodes before the first is changed. Raises: UsageError where no node is named, NotFound."""
    kind = context.discovery.find("nodes")
    if not args.nodes and not args.selector:
        raise UsageError(f"USAGE: {verb} NODE [flags]\nSee 'mini-kubectl {verb} -h' for help and examples")
    if args.nodes and args.selector:
        raise UsageError("error: cannot specify both a node name and a --selector option")
    if args.selector:
        return list(items_of(Target(kind), list_objects(context, Target(kind), args.selector)))
    targets = [Target(kind, name.removeprefix("node/").removeprefix("nodes/")) for name in args.nodes]
    return [(target, context.api.request("GET", target.path)) for target in targets]


def set_unschedulable(
    context: CommandContext, args: argparse.Namespace, node: Target, obj: Dict, unschedulable: bool
) -> None:
    done = "cordoned" if unschedulable else "uncordoned"
    if bool(obj.get("spec", {}).get("unschedulable")) == unschedulable:
        done = f"already {done}"
    elif args.dry_run != "client":
        patch = {"spec": {"unschedulable": True if unschedulable else None}}
        context.api.patch(node.path, patch, MERGE_PATCH, dry_run_params(args.dry_run))
    context.print(f"{node.display} {done}{dry_run_suffix(args.dry_run)}")
