"""What `cordon`, `uncordon` and `drain` share."""

from __future__ import annotations

import argparse

from kubectl.api.client import MERGE_PATCH, Dict
from kubectl.input.manifests import Target, list_objects
from kubectl.invocation.context import CommandContext, UsageError
from kubectl.invocation.flags import add_dry_run, add_selector, dry_run_params, dry_run_suffix


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("nodes", nargs="*", metavar="NODE")
    add_selector(parser)
    add_dry_run(parser)


def nodes(context: CommandContext, args: argparse.Namespace, verb: str) -> list[tuple[Target, Dict]]:
    """All are read before the first is changed. Raises: UsageError where no node is named, NotFound."""
    kind = context.discovery.find("nodes")
    if not args.nodes and not args.selector:
        raise UsageError(f"USAGE: {verb} NODE [flags]\nSee 'mini-kubectl {verb} -h' for help and examples")
    if args.nodes and args.selector:
        raise UsageError("error: cannot specify both a node name and a --selector option")
    if args.selector:
        items = list_objects(context, Target(kind), args.selector)["items"]
        return [(Target(kind, item["metadata"]["name"]), item) for item in items]
    targets = [Target(kind, name.removeprefix("node/").removeprefix("nodes/")) for name in args.nodes]
    return [(target, context.api.request("GET", target.path)) for target in targets]


def set_unschedulable(context: CommandContext, args: argparse.Namespace, node: Target, obj: Dict, wanted: bool) -> None:
    done = "cordoned" if wanted else "uncordoned"
    if bool(obj.get("spec", {}).get("unschedulable")) == wanted:
        context.print(f"{node.display} already {done}{dry_run_suffix(args.dry_run)}")
        return
    if args.dry_run != "client":
        patch = {"spec": {"unschedulable": True if wanted else None}}
        params = dry_run_params(args.dry_run)
        context.api.request("PATCH", node.path, params=params, body=patch, content_type=MERGE_PATCH)
    context.print(f"{node.display} {done}{dry_run_suffix(args.dry_run)}")
