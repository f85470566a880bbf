"""`top`: shows the CPU and memory that nodes and pods use, from metrics.k8s.io."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import chain
from math import ceil
from typing import Any, NamedTuple

from apimachinery.quantity import parse_quantity
from apimachinery.times import human_duration, parse_time
from kubectl.api.client import Dict
from kubectl.input import candidates
from kubectl.invocation.command import Candidates, Command, CommandContext, Cursor, UsageError
from kubectl.invocation.flags import add_all_namespaces, add_bool, add_selector
from kubectl.invocation.parser import choice
from kubectl.output.printers import table

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
MEBIBYTE = 2**20
DELAY_SECONDS = 120.0  # a pod younger than this has no metrics yet, which is not an error of the metrics
UNKNOWN = "<unknown>"
SORT_BY = choice("", "cpu", "memory", refusal="--sort-by accepts only cpu or memory")


def configure(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    nodes = what.add_parser("node", aliases=["nodes", "no"], help="What nodes use")
    add_bool(nodes, "--show-capacity", default=False, help="percentages of all there is, not of what pods may have")
    nodes.set_defaults(action=_nodes)
    pods = what.add_parser("pod", aliases=["pods", "po"], help="What pods use")
    add_all_namespaces(pods)
    add_bool(pods, "--containers", default=False, help="a line for each container")
    add_bool(pods, "--sum", default=False, help="the sum below the list")
    pods.add_argument("--field-selector", default="", help="field query, e.g. spec.nodeName=worker-1")
    pods.set_defaults(action=_pods)
    for sub in (nodes, pods):
        sub.add_argument("names", nargs="*", metavar="NAME")
        add_selector(sub)
        sub.add_argument("--sort-by", default="", type=SORT_BY, metavar="cpu|memory", help="the highest use first")
        add_bool(sub, "--no-headers", default=False, help="without the header line")
        add_bool(sub, "--use-protocol-buffers", default=True, help=argparse.SUPPRESS)


def run(context: CommandContext, args: argparse.Namespace) -> None:
    args.action(context, args)


class Usage(NamedTuple):
    cpu_millis: int
    memory_bytes: int

    @property
    def cells(self) -> list[str]:
        return [f"{self.cpu_millis}m", f"{self.memory_bytes // MEBIBYTE}Mi"]


def usage_of(resources: Dict) -> Usage:
    cpu = ceil(parse_quantity(str(resources.get("cpu", "0"))) * 1000)
    return Usage(cpu, ceil(parse_quantity(str(resources.get("memory", "0")))))


def total(usages: list[Usage]) -> Usage:
    return Usage(sum(usage.cpu_millis for usage in usages), sum(usage.memory_bytes for usage in usages))


def _metrics(context: CommandContext, args: argparse.Namespace, plural: str, label: str) -> list[Dict]:
    """The measurements of nodes or pods. Raises: UsageError where nobody measures, StatusError."""
    if len(args.names) > 1:
        verb = plural.removesuffix("s")
        raise UsageError(f"{verb} [NAME | -l label]\nSee 'mini-kubectl top {verb} -h' for help and examples")
    if args.names and args.selector:
        raise UsageError(f"only one of NAME or {label} can be provided")
    kind = next(
        (k for k in context.discovery.types if (k.group, k.version, k.plural) == (GROUP, VERSION, plural)), None
    )
    if kind is None:
        raise UsageError("Metrics API not available")
    namespace = "" if getattr(args, "all_namespaces", False) else context.namespace
    if args.names:
        return [context.api.request("GET", kind.path(namespace, args.names[0]))]
    params = {"labelSelector": args.selector, "fieldSelector": getattr(args, "field_selector", "")}
    items: list[Dict] = context.api.request("GET", kind.path(namespace), params=params)["items"]
    if not items and plural == "nodes":
        raise UsageError("metrics not available yet")
    return items


def _order(args: argparse.Namespace) -> Callable[[tuple[list[str], Usage]], Any]:
    """The order of rows: by name, or the highest use first."""
    if args.sort_by == "cpu":
        return lambda row: (-row[1].cpu_millis, row[0])
    if args.sort_by == "memory":
        return lambda row: (-row[1].memory_bytes, row[0])
    return lambda row: row[0]


def _write(context: CommandContext, args: argparse.Namespace, headers: list[str], rows: list[list[str]]) -> None:
    # the last column is padded too: kubectl ends each cell alike
    lines = [[*row, ""] for row in rows]
    context.out.write(table([*headers, ""], lines, show_headers=not args.no_headers))


def _nodes(context: CommandContext, args: argparse.Namespace) -> None:
    metrics = _metrics(context, args, "nodes", "--selector")
    nodes = _existing_nodes(context, args)
    field = "capacity" if args.show_capacity else "allocatable"
    rows = []
    measured = [([item["metadata"]["name"]], usage_of(item.get("usage") or {})) for item in metrics]
    for (name,), usage in sorted(measured, key=_order(args)):
        available = usage_of(nodes.pop(name, {}).get("status", {}).get(field) or {})
        cells = zip(usage.cells, map(_percent, usage, available), strict=True)
        rows.append([name, *chain.from_iterable(cells)])
    rows += [[name, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN] for name in sorted(nodes)]
    _write(context, args, ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"], rows)


def _existing_nodes(context: CommandContext, args: argparse.Namespace) -> Dict:
    kind = context.discovery.by_kind("v1", "Node")
    if args.names:
        return {args.names[0]: context.api.request("GET", kind.path("", args.names[0]))}
    items = context.api.list(kind.path(), {"labelSelector": args.selector})["items"]
    return {node["metadata"]["name"]: node for node in items}


def _percent(used: int, of: int) -> str:
    return f"{used * 100 // of}%" if of else UNKNOWN


def _pods(context: CommandContext, args: argparse.Namespace) -> None:
    metrics = _metrics(context, args, "pods", "selector")
    if not metrics:
        _explain_absence(context, args)
        return
    measured = []
    for pod in metrics:
        where = [pod["metadata"]["namespace"]] if args.all_namespaces else []
        each = [(c["name"], usage_of(c.get("usage") or {})) for c in pod["containers"]]
        measured.append(([*where, pod["metadata"]["name"]], total([usage for _, usage in each]), each))
    order = _order(args)
    rows = []
    for label, usage, each in sorted(measured, key=lambda pod: order(pod[:2])):
        if args.containers:
            rows += [[*label, name[0], *own.cells] for name, own in sorted((([n], u) for n, u in each), key=order)]
        else:
            rows.append([*label, *usage.cells])
    headers = (["NAMESPACE"] if args.all_namespaces else []) + (["POD"] if args.containers else []) + ["NAME"]
    if args.sum:
        blank = [""] * len(headers)
        rows += [[*blank, "________", "________"], blank + total([usage for _, usage, _ in measured]).cells]
    _write(context, args, [*headers, "CPU(cores)", "MEMORY(bytes)"], rows)


def _explain_absence(context: CommandContext, args: argparse.Namespace) -> None:
    """Says that there are no pods. Raises: UsageError where there are some that nobody has measured."""
    path = context.discovery.by_kind("v1", "Pod").path("" if args.all_namespaces else context.namespace)
    params = {"labelSelector": args.selector, "fieldSelector": args.field_selector}
    pods = context.api.list(path, params)["items"]
    if not pods:
        context.say("No resources found" + ("" if args.all_namespaces else f" in {context.namespace} namespace."))
        return
    for pod in pods:
        age = time.time() - parse_time(pod["metadata"]["creationTimestamp"])
        if age > DELAY_SECONDS:
            name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
            raise UsageError(f"Metrics not available for pod {name}, age: {human_duration(age)}")
    raise UsageError("metrics not available yet")


def _complete(cursor: Cursor) -> Candidates:
    return Candidates(candidates.names(cursor.context, "nodes" if cursor.path[-1].startswith("no") else "pods"))


COMMAND = Command(
    "top",
    "Show the CPU and memory in use",
    configure,
    run,
    completes=_complete,
    examples="""\
  # What the nodes use, and how much of them that is
  mini-kubectl top node
  # The pods that use most memory, in every namespace
  mini-kubectl top pod -A --sort-by=memory
  # Container by container, with the sum
  mini-kubectl top pod -l app=web --containers --sum""",
)
