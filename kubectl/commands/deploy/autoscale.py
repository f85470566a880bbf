"""`autoscale`: makes a HorizontalPodAutoscaler for a workload."""

from __future__ import annotations

import argparse

from apimachinery.quantity import QuantityError, canonical
from kubectl.api.client import Dict
from kubectl.changes.generated import add_generator_flags, overridden, submit
from kubectl.changes.writing import Report, for_each_selected
from kubectl.input import candidates
from kubectl.input.targets import Target, add_targets
from kubectl.invocation.command import Command, CommandContext, UsageError

RESOURCES = ("cpu", "memory")


def configure(parser: argparse.ArgumentParser) -> None:
    add_targets(parser, "scale by its load", selector=False)
    parser.add_argument("--min", type=int, default=-1, metavar="N", help="the least number of pods (default 1)")
    parser.add_argument("--max", type=int, default=-1, metavar="N", help="the largest number of pods")
    for name in RESOURCES:
        help = f"the {name} to keep each pod at on average: a part of its request such as 70%%, or an amount"
        parser.add_argument(f"--{name}", default="", metavar="TARGET", help=help)
    parser.add_argument(
        "--cpu-percent", type=int, default=-1, metavar="N", help="the same as --cpu with a percentage (deprecated)"
    )
    parser.add_argument("--name", default="", help="the autoscaler's name, if not that of the workload")
    add_generator_flags(parser, "kubectl-autoscale")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    if args.max < 1:
        raise UsageError(f"--max=MAXPODS is required and must be at least 1, max: {args.max}")
    if args.max < args.min:
        raise UsageError(f"--max=MAXPODS must be larger or equal to --min=MINPODS, max: {args.max}, min: {args.min}")
    if args.cpu and args.cpu_percent >= 0:
        raise UsageError("--cpu-percent and --cpu cannot be set together")
    report = Report(context, args)

    def autoscale(target: Target, obj: Dict) -> None:
        _check_scalable(target)
        autoscaler = submit(context, args, overridden(autoscaler_for(obj, args), args))
        report(f"horizontalpodautoscaler.autoscaling/{autoscaler['metadata']['name']}", autoscaler, "autoscaled")

    for_each_selected(context, args, autoscale)


def _check_scalable(target: Target) -> None:
    """Raises: UsageError for a kind whose objects have no scale."""
    kind = target.kind
    if "scale" not in kind.subresources:
        resource = f"{kind.group}/{kind.version}, Resource={kind.plural}"
        text = f"could not find scale subresource for {resource} in discovery information"
        raise UsageError(f"cannot autoscale a {kind.kind}: {text}")


def autoscaler_for(obj: Dict, args: argparse.Namespace) -> Dict:
    """Raises: UsageError for a target that is neither a percentage nor an amount."""
    name = obj["metadata"]["name"]
    spec: Dict = {
        "scaleTargetRef": {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": name},
        "maxReplicas": args.max,
    }
    if args.min > 0:
        spec["minReplicas"] = args.min
    targets = {"cpu": args.cpu or (f"{args.cpu_percent}%" if args.cpu_percent >= 0 else ""), "memory": args.memory}
    metrics = [
        {"type": "Resource", "resource": {"name": resource, "target": _target(resource, text)}}
        for resource, text in targets.items()
        if text
    ]
    if metrics:
        spec["metrics"] = metrics
    meta = {"name": args.name or name}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": meta, "spec": spec}


def _target(resource: str, text: str) -> Dict:
    percent = text.removesuffix("%")
    if percent != text:
        if not percent.isdigit() or int(percent) < 1:
            raise UsageError(f"invalid value for --{resource}: {text}: a percentage is a whole number above 0")
        return {"type": "Utilization", "averageUtilization": int(percent)}
    try:
        return {"type": "AverageValue", "averageValue": canonical(text)}
    except QuantityError:
        raise UsageError(f"invalid value for --{resource}: {text}: neither a percentage nor an amount") from None


COMMAND = Command(
    "autoscale",
    "Let a workload follow its load",
    configure,
    run,
    completes=candidates.types_and_names,
    examples="""\
  # 2 to 10 pods that use 70% of the CPU that they request
  mini-kubectl autoscale deployment web --min=2 --max=10 --cpu=70%
  # By an amount of memory
  mini-kubectl autoscale statefulset db --max=5 --memory=500Mi""",
)
