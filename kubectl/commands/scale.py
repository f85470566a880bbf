"""`scale`: sets the replicas of whatever has a scale subresource."""

from __future__ import annotations

import argparse

from kubectl.client import MERGE_PATCH
from kubectl.command import Command, Context, UsageError
from kubectl.commands._arguments import add_selector, duration
from kubectl.manifests import add_file_arguments, select
from kubectl.waiting import TimedOut, wait_until


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", metavar="TYPE/NAME")
    add_file_arguments(parser, "scale")
    add_selector(parser)
    parser.add_argument("--all", action="store_true", help="all objects of the type in the namespace")
    parser.add_argument("--replicas", type=int, required=True, help="how many there shall be")
    parser.add_argument("--current-replicas", type=int, default=-1, help="only where there are this many now")
    parser.add_argument("--resource-version", default="", help="only at this resourceVersion")
    parser.add_argument(
        "--timeout", type=duration, default=0, metavar="TIME", help="wait this long until they are there"
    )


def run(context: Context, args: argparse.Namespace) -> None:
    if args.replicas < 0:
        raise UsageError("the --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0")
    found = list(select(context, args.targets, args.filename, selector=args.selector, all_objects=args.all))
    if not found:
        raise UsageError("no objects passed to scale")
    for target, obj in found:
        current = obj.get("spec", {}).get("replicas")
        if args.current_replicas >= 0 and current != args.current_replicas:
            raise UsageError(f"Expected replicas to be {args.current_replicas}, was {current}")
        patch: dict[str, object] = {"spec": {"replicas": args.replicas}}
        if args.resource_version:
            patch["metadata"] = {"resourceVersion": args.resource_version}
        path = target.kind.path(target.namespace, target.name, "scale")
        context.api.request("PATCH", path, body=patch, content_type=MERGE_PATCH)
        context.print(f"{target.display} scaled")
        if args.timeout:
            try:
                wait_until(context, target, lambda o: o is None or _scaled(o, args.replicas), args.timeout)
            except TimedOut as error:
                raise UsageError(str(error)) from error


def _scaled(obj: dict[str, dict[str, object]], replicas: int) -> bool:
    status = obj.get("status", {})
    observed = status.get("observedGeneration") == obj["metadata"].get("generation")
    return observed and status.get("replicas", 0) == replicas


COMMAND = Command(
    "scale",
    "Set how many replicas there are",
    configure,
    run,
    examples="""\
  mini-kubectl scale deployment/web --replicas=5
  mini-kubectl scale deployment/web --current-replicas=2 --replicas=3""",
)
