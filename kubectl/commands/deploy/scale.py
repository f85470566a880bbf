"""`scale`: sets the replicas of objects that have a scale subresource."""

from __future__ import annotations

import argparse

from kubectl.api.client import MERGE_PATCH, Dict
from kubectl.changes.waiting import wait_until
from kubectl.changes.writing import Report
from kubectl.input import candidates
from kubectl.input.targets import Target, add_targets, select
from kubectl.invocation.command import Command, CommandContext, Failures, UsageError
from kubectl.invocation.flags import add_dry_run, add_output, dry_run_params, duration


def configure(parser: argparse.ArgumentParser) -> None:
    add_targets(parser, "scale", everything=True)
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
    report = Report(context, args)
    with Failures() as failed:
        objects = list(select(context, args, failed))
        if not objects:
            raise UsageError(" ".join(["no objects passed to scale", *map(str, failed)]))
        for target, obj in objects:
            with failed.caught():
                report(target.display, _scale(context, args, target, obj), "scaled")
                if args.timeout and args.dry_run == "none":
                    wait_until(context, target, lambda o: o is None or _scaled(o, args.replicas), args.timeout)


def _scale(context: CommandContext, args: argparse.Namespace, target: Target, obj: Dict) -> Dict:
    """The object with its new replicas. Raises: UsageError where it is not as --current-replicas says, StatusError."""
    current = obj.get("spec", {}).get("replicas")
    if args.current_replicas >= 0 and current != args.current_replicas:
        raise UsageError(f"Expected replicas to be {args.current_replicas}, was {current}")
    if args.dry_run != "client":
        patch: Dict = {"spec": {"replicas": args.replicas}}
        if args.resource_version:
            patch["metadata"] = {"resourceVersion": args.resource_version}
        context.api.patch(target.subresource("scale"), patch, MERGE_PATCH, dry_run_params(args.dry_run))
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
