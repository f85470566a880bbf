"""`drain`: cordons a node and moves its pods away, for maintenance."""

from __future__ import annotations

import argparse
import time
from typing import NamedTuple

from apimachinery.errors import NotFound, TooManyRequests
from kubeapi.core.pod.lifecycle import MIRROR_ANNOTATION, is_terminal
from kubectl.api.client import Dict
from kubectl.changes.deletion import delete_object, wait_gone
from kubectl.commands.cluster import _nodes
from kubectl.input import candidates
from kubectl.input.targets import Target, items_of, list_objects
from kubectl.invocation.command import Command, CommandContext, ExitCode, UsageError
from kubectl.invocation.flags import add_bool, dry_run_suffix, duration

RETRY_SECONDS = 5.0  # between tries at an eviction that a disruption budget forbids for now, as kubectl's


def configure(parser: argparse.ArgumentParser) -> None:
    _nodes.configure(parser)
    add_bool(parser, "--ignore-daemonsets", default=False, help="leave pods of DaemonSets where they are")
    add_bool(parser, "--delete-emptydir-data", default=False, help="also pods whose emptyDir data will be lost")
    add_bool(parser, "--force", default=False, help="also pods that no controller will replace")
    add_bool(parser, "--disable-eviction", default=False, help="delete, past any disruption budget")
    parser.add_argument("--grace-period", type=int, default=-1, metavar="SECONDS", help="instead of the pods' own")
    parser.add_argument("--pod-selector", default="", help="only pods with these labels")
    parser.add_argument("--timeout", type=duration, default=0, metavar="TIME", help="give up after this time")


def run(context: CommandContext, args: argparse.Namespace) -> None:
    deadline = time.monotonic() + args.timeout if args.timeout else None
    nodes = _nodes.nodes(context, args, "drain")
    for node, obj in nodes:
        _nodes.set_unschedulable(context, args, node, obj, True)
    failed: dict[str, UsageError] = {}
    for node, _ in nodes:
        try:
            _drain(context, args, node, deadline)
        except UsageError as error:
            context.say(f'error: unable to drain node "{node.name}" due to error: {error}, continuing command...')
            failed[node.name] = error
    if failed:
        context.say("There are pending nodes to be drained:\n" + "\n".join(f" {name}" for name in failed))
        for refusal in failed.values():
            context.say(str(refusal))
        raise ExitCode(1)


def _drain(context: CommandContext, args: argparse.Namespace, node: Target, deadline: float | None) -> None:
    """Moves the node's pods away. Raises: UsageError for a pod that must stay, or that does not go in time."""
    pods = _pods(context, args, node)
    for pod, _ in pods:
        context.print(f"evicting pod {pod.namespace}/{pod.name}{dry_run_suffix(args.dry_run)}")
        if args.dry_run == "none":
            _evict(context, args, pod, deadline)
    if args.dry_run == "none":
        for pod, uid in pods:
            wait_gone(context, [(pod, uid)], None if deadline is None else max(deadline - time.monotonic(), 0.0))
            context.print(f"{pod.display} {'deleted' if args.disable_eviction else 'evicted'}")
    context.print(f"{node.display} drained{dry_run_suffix(args.dry_run)}")


def _pods(context: CommandContext, args: argparse.Namespace, node: Target) -> list[tuple[Target, str]]:
    """The pods that shall go, with their uids: one of a StatefulSet comes back by its name."""
    kind = context.discovery.find("pods")
    going: list[tuple[Target, str]] = []
    blocked: dict[str, list[str]] = {}
    warnings: dict[str, list[str]] = {}
    fields = f"spec.nodeName={node.name}"
    for target, pod in items_of(Target(kind), list_objects(context, Target(kind), args.pod_selector, fields)):
        verdict = judge(pod, args)
        name = f"{target.namespace}/{target.name}"
        if verdict.goes:
            going.append((target, pod["metadata"]["uid"]))
        if verdict.blocked:
            blocked.setdefault(verdict.blocked, []).append(name)
        elif verdict.warning:
            warnings.setdefault(verdict.warning, []).append(name)
    if blocked:
        raise UsageError("; ".join(f"cannot delete {why}: {', '.join(names)}" for why, names in blocked.items()))
    if warnings:
        context.warn("; ".join(f"{what}: {', '.join(names)}" for what, names in warnings.items()))
    return going


class DrainVerdict(NamedTuple):
    """The decision about a pod: if it is evicted, a warning about it, and why it holds up the whole drain."""

    goes: bool
    warning: str = ""
    blocked: str = ""


def judge(pod: Dict, args: argparse.Namespace) -> DrainVerdict:
    meta = pod["metadata"]
    if MIRROR_ANNOTATION in (meta.get("annotations") or {}):
        return DrainVerdict(False)  # the API's copy of a pod that the node starts from a file: not ours to delete
    owner = next((ref for ref in meta.get("ownerReferences") or () if ref.get("controller")), None)
    if is_terminal(pod.get("status", {}).get("phase")):
        return DrainVerdict(True)
    if owner is not None and owner["kind"] == "DaemonSet":
        if args.ignore_daemonsets:
            return DrainVerdict(False, warning="ignoring DaemonSet-managed Pods")
        return DrainVerdict(False, blocked="DaemonSet-managed Pods (use --ignore-daemonsets to ignore)")
    local = any("emptyDir" in volume for volume in pod["spec"].get("volumes") or ())
    if local and not args.delete_emptydir_data:
        return DrainVerdict(False, blocked="Pods with local storage (use --delete-emptydir-data to override)")
    if owner is None and not args.force:
        return DrainVerdict(False, blocked="cannot delete Pods that declare no controller (use --force to override)")
    if owner is None:
        return DrainVerdict(True, warning="deleting Pods that declare no controller")
    return DrainVerdict(True, warning="deleting Pods with local storage" if local else "")


def _evict(context: CommandContext, args: argparse.Namespace, pod: Target, deadline: float | None) -> None:
    options: Dict = {} if args.grace_period < 0 else {"gracePeriodSeconds": args.grace_period}
    meta = {"name": pod.name, "namespace": pod.namespace}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta, "deleteOptions": options}
    while True:
        try:
            if args.disable_eviction or "eviction" not in pod.kind.subresources:
                delete_object(context, pod, grace_period=args.grace_period)
            else:
                context.api.request("POST", pod.subresource("eviction"), body=eviction)
            return
        except NotFound:
            return
        except TooManyRequests as error:
            if deadline is not None and time.monotonic() + RETRY_SECONDS > deadline:
                raise UsageError(f"error when evicting pods/{pod.name}: {error}") from error
            context.say(
                f'error when evicting pods/"{pod.name}" -n "{pod.namespace}" (will retry after 5s): {error.message}'
            )
            time.sleep(RETRY_SECONDS)


COMMAND = Command(
    "drain",
    "Cordon a node and move its pods away",
    configure,
    run,
    completes=candidates.nodes,
    examples="""\
  mini-kubectl drain worker-1 --ignore-daemonsets --delete-emptydir-data
  mini-kubectl uncordon worker-1""",
)
