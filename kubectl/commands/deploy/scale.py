"""`scale`: sets the replicas of whatever has a scale subresource."""

from __future__ import annotations

import argparse

from apimachinery.errors import StatusError
from kubectl.api.client import MERGE_PATCH, Dict
from kubectl.changes.waiting import TimedOut, wait_until
from kubectl.input import candidates
from kubectl.input.manifests import Target, add_file_arguments, raise_all, select
from kubectl.invocation.command import Command
from kubectl.invocation.context import CommandContext, UsageError
from kubectl.invocation.flags import (
    add_dry_run,
    add_output,
    add_selector,
    dry_run_params,
    dry_run_suffix,
    duration,
)
from kubectl.output.printers import object_printer


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", metavar="TYPE/NAME")
    add_file_arguments(parser, "scale")
    add_selector(parser)
    parser.add_argument("--all", action="store_true", help="all objects of the type in the namespace")
    parser.add_argument("--replicas", type=int, required=True, help="how many there shall be")
    parser.add_argument("--current-replicas", type=int, default=-1, help="only where there are this many now")
    parser.add_argument("--resource-version", default="", help="only at this resourceVersion")
    add_dry_run(parser)
    add_output(parser)
    parser.add_argument(
        "--timeout", type=duration, default=0, metavar="TIME", help="wait this long until they are there"
    )


def run(context: CommandContext, args: argparse.Namespace) -> None:
    if args.replicas < 0:
        raise UsageError("The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0")
    failed: list[Exception] = []
    found = list(
        select(context, args.targets, args.filename, selector=args.selector, all_objects=args.all, failed=failed)
    )
    if not found:
        raise UsageError(" ".join(["no objects passed to scale", *map(str, failed)]))
    show = object_printer(args.output) if args.output else None
    for target, obj in found:
        try:
            result = _scale(context, args, target, obj)
        except (StatusError, UsageError) as error:
            failed.append(error)
            continue
        if show is not None:
            context.out.write(show(result))
        else:
            context.print(f"{target.display} scaled{dry_run_suffix(args.dry_run)}")
        if args.timeout and args.dry_run == "none":
            try:
                wait_until(context, target, lambda o: o is None or _scaled(o, args.replicas), args.timeout)
            except TimedOut as error:
                raise UsageError(str(error)) from error
    raise_all(failed)


def _scale(context: CommandContext, args: argparse.Namespace, target: Target, obj: Dict) -> Dict:
    """The object with its new replicas. Raises: UsageError where it is not as --current-replicas says, StatusError."""
    current = obj.get("spec", {}).get("replicas")
    if args.current_replicas >= 0 and current != args.current_replicas:
        raise UsageError(f"Expected replicas to be {args.current_replicas}, was {current}")
    if args.dry_run != "client":
        patch: Dict = {"spec": {"replicas": args.replicas}}
        if args.resource_version:
            patch["metadata"] = {"resourceVersion": args.resource_version}
        path = target.kind.path(target.namespace, target.name, "scale")
        params = dry_run_params(args.dry_run)
        context.api.request("PATCH", path, params=params, body=patch, content_type=MERGE_PATCH)
    return {**obj, "spec": {**obj.get("spec", {}), "replicas": args.replicas}}


def _scaled(obj: Dict, replicas: int) -> bool:
    status = obj.get("status", {})
    observed = status.get("observedGeneration") == obj["metadata"].get("generation")
    return bool(observed and status.get("replicas", 0) == replicas)


COMMAND = Command(
    "scale",
    "Set how many replicas there are",
    configure,
    run,
    completes=candidates.types_and_names,
    examples="""\
  mini-kubectl scale deployment/web --replicas=5
  mini-kubectl scale deployment/web --current-replicas=2 --replicas=3""",
)
