"""Which pod and container `logs` and `exec` mean: a pod, or one of those a workload selects."""

from __future__ import annotations

from typing import Any

from kubectl.command import Context, UsageError
from kubectl.manifests import parse_targets

Dict = dict[str, Any]

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


def find_pods(context: Context, words: list[str]) -> list[Dict]:
    """The named pod, or all pods a workload or Service selects, those that run first.

    Raises: UsageError where there is none, NotFound.
    """
    if len(words) == 1 and "/" not in words[0]:
        words = [f"pods/{words[0]}"]
    target = parse_targets(context, words)[0]
    if not target.name:
        raise UsageError("expected POD or TYPE/NAME")
    obj = context.api.request("GET", target.path)
    if target.kind.plural == "pods":
        return [obj]
    selector = obj.get("spec", {}).get("selector")
    if not selector:
        raise UsageError(f"cannot attach to {target.display}: it selects no pods")
    labels = selector_text(selector)
    found = pods_by_selector(context, labels, target.namespace)
    if not found:
        raise UsageError(f"no pods found for {target.display}")
    return found


def selector_text(selector: Dict) -> str:
    """A LabelSelector, or a Service's plain map, as a label query."""
    from apimachinery.meta import LabelSelector
    from apimachinery.model import from_dict
    from apimachinery.selectors import selector_from_map, selector_of

    if "matchLabels" in selector or "matchExpressions" in selector:
        return str(selector_of(from_dict(LabelSelector, selector)))
    return str(selector_from_map(selector))


def pods_by_selector(context: Context, labels: str, namespace: str) -> list[Dict]:
    path = context.discovery.find("pods").path(namespace)
    items: list[Dict] = context.api.list(path, {"labelSelector": labels})["items"]
    return sorted(items, key=lambda pod: (pod.get("status", {}).get("phase") != "Running", pod["metadata"]["name"]))


def container_names(pod: Dict) -> list[str]:
    """Regular containers first, then init and ephemeral ones."""
    spec = pod["spec"]
    fields = ("containers", "initContainers", "ephemeralContainers")
    return [container["name"] for field in fields for container in spec.get(field) or ()]


def choose_container(context: Context, pod: Dict, name: str, *, quiet: bool = False) -> str:
    """The asked container, the annotated default, or the first one, which is said.

    Raises: UsageError for a container the pod has not got.
    """
    names = container_names(pod)
    if name:
        if name not in names:
            raise UsageError(f"container {name} not found in pod {pod['metadata']['name']} (it has {', '.join(names)})")
        return name
    default = (pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER)
    if default in names:
        return str(default)
    if len(names) > 1 and not quiet:
        context.say(f'Defaulted container "{names[0]}" out of: {", ".join(names)}')
    return names[0]
