"""What `cordon`, `uncordon` and `drain` share."""

from __future__ import annotations

import argparse

from kubectl.client import MERGE_PATCH
from kubectl.command import Context, UsageError
from kubectl.commands._arguments import add_dry_run, add_selector, dry_run_params, dry_run_suffix
from kubectl.manifests import Target


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("nodes", nargs="*", metavar="NODE")
    add_selector(parser)
    add_dry_run(parser)


def nodes(context: Context, args: argparse.Namespace) -> list[Target]:
    """Raises: UsageError where no node is named, NotFound for one that does not exist."""
    kind = context.discovery.find("nodes")
    names = [name.removeprefix("node/").removeprefix("nodes/") for name in args.nodes]
    if args.selector:
        found = context.api.list(kind.path(), {"labelSelector": args.selector})["items"]
        names += [item["metadata"]["name"] for item in found]
    if not names:
        raise UsageError("at least one NODE or --selector is required")
    return [Target(kind, name) for name in names]


def set_unschedulable(context: Context, args: argparse.Namespace, node: Target, wanted: bool) -> None:
    done = "cordoned" if wanted else "uncordoned"
    obj = context.api.request("GET", node.path)
    if bool(obj.get("spec", {}).get("unschedulable")) == wanted:
        context.print(f"{node.display} already {done}")
        return
    if args.dry_run != "client":
        patch = {"spec": {"unschedulable": True if wanted else None}}
        params = dry_run_params(args.dry_run)
        context.api.request("PATCH", node.path, params=params, body=patch, content_type=MERGE_PATCH)
    context.print(f"{node.display} {done}{dry_run_suffix(args.dry_run)}")
