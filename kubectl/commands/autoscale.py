"""`autoscale`: a HorizontalPodAutoscaler for whatever has a scale subresource."""

from __future__ import annotations

import argparse
from typing import Any

from apimachinery.errors import NotFound, StatusError
from kubectl.api.discovery import ResourceType, UnknownType
from kubectl.cli.command import Command, Context, UsageError
from kubectl.commands._arguments import dry_run_suffix
from kubectl.commands._generated import add_generated, printer, submit
from kubectl.input.manifests import add_file_arguments, raise_all, select

Dict = dict[str, Any]


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", metavar="TYPE NAME", help="TYPE NAME or TYPE/NAME")
    add_file_arguments(parser, "autoscale")
    parser.add_argument("--max", type=int, required=True, help="at most so many pods")
    parser.add_argument("--min", type=int, default=-1, help="at least so many pods")
    parser.add_argument("--cpu", default="", help='what the pods shall use: "80%%" of their request, or e.g. 500m each')
    parser.add_argument("--memory", default="", help='what the pods shall use: "80%%" of their request, or e.g. 200Mi')
    parser.add_argument("--cpu-percent", type=int, default=-1, help="the same as --cpu with a percentage")
    parser.add_argument("--name", default="", help="the autoscaler's name, if not that of its target")
    add_generated(parser, "kubectl-autoscale", overrides=False)


def run(context: Context, args: argparse.Namespace) -> None:
    if args.max < 1:
        raise UsageError(f"--max=MAXPODS is required and must be at least 1, max: {args.max}")
    if args.max < args.min:
        raise UsageError(f"--max=MAXPODS must be larger or equal to --min=MINPODS, max: {args.max}, min: {args.min}")
    show = printer(args)
    failed: list[Exception] = []
    for target, _ in select(context, args.targets, args.filename, recursive=args.recursive, failed=failed):
        try:
            made = _create(context, args, autoscaler(target.kind, target.name, args))
        except (StatusError, UsageError) as error:
            failed.append(error)
            continue
        if show is not None:
            context.out.write(show(made))
        else:
            name = made["metadata"]["name"]
            context.print(f"horizontalpodautoscaler.autoscaling/{name} autoscaled{dry_run_suffix(args.dry_run)}")
    raise_all(failed)


def autoscaler(kind: ResourceType, name: str, args: argparse.Namespace) -> Dict:
    """Raises: UsageError for a kind that cannot be scaled."""
    if "scale" not in kind.subresources:
        where = f"{kind.group}/{kind.version}, Resource={kind.plural}"
        raise UsageError(
            f"cannot autoscale a {kind.kind}: could not find scale subresource for {where} in discovery information"
        )
    spec: Dict = {
        "maxReplicas": args.max,
        "scaleTargetRef": {"apiVersion": kind.api_version, "kind": kind.kind, "name": name},
    }
    if args.min > 0:
        spec["minReplicas"] = args.min
    cpu = args.cpu or (f"{args.cpu_percent}%" if args.cpu_percent >= 0 else "")
    wanted = {"cpu": cpu, "memory": args.memory}
    metrics = [_metric(resource, amount) for resource, amount in wanted.items() if amount]
    if metrics:
        spec["metrics"] = metrics
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": args.name or name},
        "spec": spec,
        "status": {"currentMetrics": None, "desiredReplicas": 0},
    }


def _metric(resource: str, amount: str) -> Dict:
    target: Dict
    if amount.endswith("%"):
        if not amount[:-1].isdigit():
            raise UsageError(f"invalid {resource} target {amount!r}: expected a percentage or a quantity")
        target = {"type": "Utilization", "averageUtilization": int(amount[:-1])}
    else:
        # a number alone is in the unit one counts the resource in
        unit = {"cpu": "m", "memory": "Mi"}[resource] if amount.isdigit() else ""
        target = {"type": "AverageValue", "averageValue": amount + unit}
    return {"type": "Resource", "resource": {"name": resource, "target": target}}


def _create(context: Context, args: argparse.Namespace, obj: Dict) -> Dict:
    try:
        return submit(context, args, obj, with_namespace=False)
    except UnknownType as error:
        raise NotFound("the server could not find the requested resource") from error


COMMAND = Command(
    "autoscale",
    "Let the number of pods follow their load",
    configure,
    run,
    examples="""\
  # Between 2 and 10 pods, so that they use 80% of the CPU they request
  mini-kubectl autoscale deployment web --min=2 --max=10 --cpu=80%
  # Look at the HorizontalPodAutoscaler without making it
  mini-kubectl autoscale deployment web --max=5 --dry-run=client -o yaml""",
)
