"""`drain`: cordons a node and moves its pods away, for maintenance."""

from __future__ import annotations

import argparse
import time
from typing import Any

from apimachinery.errors import NotFound, TooManyRequests
from kubectl.command import Command, Context, UsageError
from kubectl.commands import _nodes
from kubectl.commands._arguments import add_bool, dry_run_suffix, duration
from kubectl.manifests import Target
from kubectl.waiting import TimedOut, wait_until

Dict = dict[str, Any]

RETRY_SECONDS = 5.0  # between tries at an eviction that a disruption budget forbids for now, as kubectl's
MIRROR = "kubernetes.io/config.mirror"


def configure(parser: argparse.ArgumentParser) -> None:
    _nodes.configure(parser)
    add_bool(parser, "--ignore-daemonsets", default=False, help="leave pods of DaemonSets where they are")
    add_bool(parser, "--delete-emptydir-data", default=False, help="also pods whose emptyDir data will be lost")
    add_bool(parser, "--force", default=False, help="also pods that no controller will replace")
    add_bool(parser, "--disable-eviction", default=False, help="delete, past any disruption budget")
    parser.add_argument("--grace-period", type=int, default=-1, metavar="SECONDS", help="instead of the pods' own")
    parser.add_argument("--pod-selector", default="", help="only pods with these labels")
    parser.add_argument("--timeout", type=duration, default=0, metavar="TIME", help="give up after this time")


def run(context: Context, args: argparse.Namespace) -> None:
    deadline = time.monotonic() + args.timeout if args.timeout else None
    for node in _nodes.nodes(context, args):
        _nodes.set_unschedulable(context, args, node, True)
        pods = _pods(context, args, node)
        for pod in pods:
            if args.dry_run == "client":
                context.print(f"evicting pod {pod.namespace}/{pod.name}{dry_run_suffix(args.dry_run)}")
            else:
                _evict(context, args, pod, deadline)
        if args.dry_run == "none":
            for pod in pods:
                _wait_gone(context, pod, deadline)
        context.print(f"{node.display} drained{dry_run_suffix(args.dry_run)}")


def _pods(context: Context, args: argparse.Namespace, node: Target) -> list[Target]:
    kind = context.discovery.find("pods")
    params = {"fieldSelector": f"spec.nodeName={node.name}", "labelSelector": args.pod_selector}
    going: list[Target] = []
    blocked: dict[str, list[str]] = {}
    ignored: list[str] = []
    for pod in context.api.list(kind.path(), params)["items"]:
        meta = pod["metadata"]
        verdict = judge(pod, args)
        if verdict == "go":
            going.append(Target(kind, meta["name"], meta["namespace"]))
        elif verdict == "ignore":
            ignored.append(f"{meta['namespace']}/{meta['name']}")
        elif verdict:
            blocked.setdefault(verdict, []).append(f"{meta['namespace']}/{meta['name']}")
    if blocked:
        reasons = "; ".join(f"{why}: {', '.join(names)}" for why, names in blocked.items())
        raise UsageError(f'unable to drain node "{node.name}" due to error: cannot delete {reasons}')
    if ignored:
        context.warn(f"ignoring DaemonSet-managed Pods: {', '.join(ignored)}")
    return going


def judge(pod: Dict, args: argparse.Namespace) -> str:
    """ "go", "ignore", "" (a mirror pod: not ours to delete), or why the pod blocks the drain."""
    meta = pod["metadata"]
    if MIRROR in (meta.get("annotations") or {}):
        return ""
    owner = next((ref for ref in meta.get("ownerReferences") or () if ref.get("controller")), None)
    over = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    if owner is not None and owner["kind"] == "DaemonSet" and not over:
        return "ignore" if args.ignore_daemonsets else "DaemonSet-managed Pods (use --ignore-daemonsets to ignore)"
    if over:
        return "go"
    local = any("emptyDir" in volume for volume in pod["spec"].get("volumes") or ())
    if local and not args.delete_emptydir_data:
        return "Pods with local storage (use --delete-emptydir-data to override)"
    if owner is None and not args.force:
        return "Pods that declare no controller (use --force to override)"
    return "go"


def _evict(context: Context, args: argparse.Namespace, pod: Target, deadline: float | None) -> None:
    context.say(f"evicting pod {pod.namespace}/{pod.name}")
    options: Dict = {} if args.grace_period < 0 else {"gracePeriodSeconds": args.grace_period}
    while True:
        try:
            if args.disable_eviction or not _has_eviction(context):
                context.api.request("DELETE", pod.path, body={"kind": "DeleteOptions", "apiVersion": "v1", **options})
            else:
                body = {
                    "apiVersion": "policy/v1",
                    "kind": "Eviction",
                    "metadata": {"name": pod.name, "namespace": pod.namespace},
                    "deleteOptions": options,
                }
                context.api.request("POST", pod.kind.path(pod.namespace, pod.name, "eviction"), body=body)
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


def _has_eviction(context: Context) -> bool:
    return any(item["name"] == "pods/eviction" for item in context.api.request("GET", "/api/v1")["resources"])


def _wait_gone(context: Context, pod: Target, deadline: float | None) -> None:
    left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
    try:
        wait_until(context, pod, lambda obj: obj is None, left)
    except TimedOut as error:
        raise UsageError(f"drain did not complete within the timeout: {error}") from error


COMMAND = Command(
    "drain",
    "Cordon a node and move its pods away",
    configure,
    run,
    examples="""\
  mini-kubectl drain worker-1 --ignore-daemonsets --delete-emptydir-data
  mini-kubectl uncordon worker-1""",
)
