"""Finds the pod spec and the containers inside an object, for `set` to change them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from fnmatch import fnmatchcase

from kubectl.api.client import Dict
from kubectl.invocation.command import UsageError

_TEMPLATE = ("spec", "template", "spec")
_PLACES = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", *_TEMPLATE),
    **dict.fromkeys(
        ("Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Job"), _TEMPLATE
    ),
}


def pod_spec(obj: Dict) -> Dict | None:
    """The spec inside `obj` itself, not a copy; None where the object makes no pods."""
    place = _PLACES.get(str(obj.get("kind")))
    part = obj if place else None
    for field in place or ():
        part = part.get(field) if isinstance(part, dict) else None
    return part if isinstance(part, dict) else None


def spec_of(obj: Dict, args: argparse.Namespace) -> Dict:
    """The spec of the pods that an object makes. Raises: UsageError where it makes none."""
    spec = pod_spec(obj)
    if spec is None:
        kind = str(obj["kind"])
        name = f"{kind.lower()}{'' if args.local else 's'}/{obj['metadata'].get('name', '')}"
        version = str(obj["apiVersion"]).rpartition("/")[2]
        raise UsageError(f"{name} the object is not a pod or does not have a pod template: *{version}.{kind}")
    return spec


def containers(spec: Dict, pattern: str = "*") -> Iterator[Dict]:
    """The containers whose names match, init containers first."""
    for field in ("initContainers", "containers"):
        for container in spec.get(field) or ():
            if fnmatchcase(container["name"], pattern):
                yield container


def with_defaults(obj: Dict) -> Dict:
    """Adds to `obj` the empty parts that kubectl writes of kinds it knows."""
    spec = pod_spec(obj)
    if spec is None:
        return obj
    for container in containers(spec):
        container.setdefault("resources", {})
    if obj["kind"] == "Deployment":
        obj["spec"].setdefault("strategy", {})
    obj.setdefault("status", {})
    return obj
