"""Finds the pod and container that `logs`, `exec` and their like mean: a pod, or one that a workload selects."""

from __future__ import annotations

import argparse
import time

from kubeapi.core.pod.lifecycle import is_terminal
from kubectl.api.client import Dict
from kubectl.input.targets import named
from kubectl.invocation.command import CommandContext, UsageError
from kubectl.invocation.flags import duration

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
POLL_SECONDS = 0.3  # between looks for a pod that its workload has yet to create
_FIELDS = {"containers": "", "ephemeralContainers": " (ephem)", "initContainers": " (init)"}
_SELECTING = {
    "ReplicationController", "ReplicaSet", "StatefulSet", "DaemonSet", "Deployment", "Job", "Service",
}  # fmt: skip


def add_running_timeout(parser: argparse.ArgumentParser, default: float = 60.0) -> None:
    parser.add_argument(
        "--pod-running-timeout", type=duration, default=default, metavar="TIME",
        help="how long to wait for a pod of a workload that has none yet",
    )  # fmt: skip


def find_pods(
    context: CommandContext, words: list[str], *, timeout_seconds: float = 60.0, purpose: str = "cannot attach to"
) -> list[Dict]:
    """The named pod, or all pods a workload or Service selects, those that run first.

    Raises: UsageError where there is none in time, NotFound.
    """
    if len(words) == 1 and "/" not in words[0]:
        words = [f"pods/{words[0]}"]
    target = named(context, words)[0]
    if not target.name:
        raise UsageError("expected POD or TYPE/NAME")
    obj = context.api.request("GET", target.path)
    if target.kind.kind == "Pod":
        return [obj]
    selector = obj.get("spec", {}).get("selector")
    if not selector or target.kind.kind not in _SELECTING:
        what = f"*{target.kind.version}.{target.kind.kind}"
        raise UsageError(f"{purpose} {what}: selector for {what} not implemented")
    deadline = time.monotonic() + timeout_seconds
    while not (pods := pods_by_selector(context, selector_text(selector), target.namespace)):
        if time.monotonic() > deadline:
            raise UsageError("timed out waiting for the condition")
        time.sleep(POLL_SECONDS)
    return pods


def refuse_ended(pod: Dict, action: str) -> None:
    """Raises: UsageError where the pod has ended; `action` is what was to be done with a container of it."""
    phase = pod.get("status", {}).get("phase")
    if is_terminal(phase):
        raise UsageError(f"cannot {action} a container in a completed pod; current phase is {phase}")


def selector_text(selector: Dict) -> str:
    """A LabelSelector, or a Service's plain map, as a label query."""
    from apimachinery.meta import LabelSelector  # here: pydantic takes 80 ms
    from apimachinery.model import from_dict
    from apimachinery.selectors import selector_from_map, selector_of

    if "matchLabels" in selector or "matchExpressions" in selector:
        return str(selector_of(from_dict(LabelSelector, selector)))
    return str(selector_from_map(selector))


def pods_by_selector(context: CommandContext, labels: str, namespace: str) -> list[Dict]:
    path = context.discovery.find("pods").path(namespace)
    items: list[Dict] = context.api.list(path, {"labelSelector": labels})["items"]
    return sorted(items, key=lambda pod: (pod.get("status", {}).get("phase") != "Running", pod["metadata"]["name"]))


def containers(pod: Dict, *fields: str) -> list[Dict]:
    """The containers of some fields; by default regular ones first, then ephemeral and init ones."""
    spec = pod["spec"]
    return [container for field in fields or _FIELDS for container in spec.get(field) or ()]


def container_names(pod: Dict, *fields: str) -> list[str]:
    return [container["name"] for container in containers(pod, *fields)]


def choose_container(
    context: CommandContext,
    pod: Dict,
    name: str,
    *,
    quiet: bool = False,
    unknown: str = "container {name} not found in {pod}",
) -> str:
    """The named container, the annotated default, or the first one, whose name is printed.

    `unknown` is the refusal of a container that the pod does not have. Raises: UsageError.
    """
    names = container_names(pod)
    pod_name = pod["metadata"]["name"]
    if name:
        if name not in names:
            raise UsageError(unknown.format(name=name, pod=f"pod {pod_name}"))
        return name
    default = (pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER)
    if default in names:
        return str(default)
    if default and not quiet:
        context.say(f'Default container name "{default}" not found in pod {pod_name}')
    if len(names) > 1 and not quiet:
        marked = [c["name"] + mark for field, mark in _FIELDS.items() for c in pod["spec"].get(field) or ()]
        context.say(f'Defaulted container "{names[0]}" out of: {", ".join(marked)}')
    return names[0]
