"""Which fields of which kinds a kustomization's own fields change, and the way there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

Dict = dict[str, Any]
Change = Callable[[Dict, str], None]
"""Changes the field of this name in this object."""


class Field(NamedTuple):
    """A path of a kind ("" for all); `create` where its last parts are made if they are missing."""

    path: str
    kind: str = ""
    create: bool = True
    group: str | None = None


_WORKLOADS = ("ReplicationController", "Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "Job")
TEMPLATES = {
    **dict.fromkeys(_WORKLOADS, "spec/template"),
    "CronJob": "spec/jobTemplate/spec/template",
}


def _on_templates(what: str) -> tuple[Field, ...]:
    cron = (Field(f"spec/jobTemplate/metadata/{what}", "CronJob"),)
    return tuple(Field(f"{path}/metadata/{what}", kind) for kind, path in TEMPLATES.items()) + cron


def _affinity() -> Iterator[Field]:
    terms = {
        "preferredDuringSchedulingIgnoredDuringExecution": "podAffinityTerm/labelSelector",
        "requiredDuringSchedulingIgnoredDuringExecution": "labelSelector",
    }
    for kind in ("Deployment", "StatefulSet"):
        for way in ("podAffinity", "podAntiAffinity"):
            for term, selector in terms.items():
                path = f"spec/template/spec/affinity/{way}/{term}/{selector}/matchLabels"
                yield Field(path, kind, create=False, group="apps")
        path = "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels"
        yield Field(path, kind, create=False, group="apps")


LABELS = (Field("metadata/labels"),)
TEMPLATE_LABELS = (
    *_on_templates("labels"),
    Field("spec/volumeClaimTemplates[]/metadata/labels", "StatefulSet", group="apps"),
)
SELECTOR_LABELS = (
    *LABELS,
    *TEMPLATE_LABELS,
    Field("spec/selector", "Service", group=""),
    Field("spec/selector", "ReplicationController", group=""),
    *(Field("spec/selector/matchLabels", kind) for kind in ("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet")),
    *_affinity(),
    Field("spec/selector/matchLabels", "Job", create=False, group="batch"),
    Field("spec/jobTemplate/spec/selector/matchLabels", "CronJob", create=False, group="batch"),
    Field("spec/selector/matchLabels", "PodDisruptionBudget", create=False, group="policy"),
    *(
        Field(f"spec/{path}podSelector/matchLabels", "NetworkPolicy", create=False, group="networking.k8s.io")
        for path in ("", "ingress/from/", "egress/to/")
    ),
)
ANNOTATIONS = (Field("metadata/annotations"), *_on_templates("annotations"))
REPLICAS = tuple(
    Field("spec/replicas", kind) for kind in ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController")
)


def at(obj: Dict, field: Field, change: Change) -> None:
    """`change` at each place that the field's path leads to in `obj`, if it is of that kind."""
    group = str(obj.get("apiVersion", "")).rpartition("/")[0]
    if field.kind in ("", obj.get("kind")) and field.group in (None, group):
        walk(obj, field.path.split("/"), change, create=field.create)


def walk(node: Any, path: list[str], change: Change, *, create: bool = False) -> None:
    """Lists on the way are followed into each of their items."""
    if isinstance(node, list):
        for item in node:
            walk(item, path, change, create=create)
        return
    if not isinstance(node, dict):
        return
    name, rest = path[0].removesuffix("[]"), path[1:]
    if not rest:
        if create or name in node:
            change(node, name)
        return
    if node.get(name) is None:
        if not create or path[0].endswith("[]"):
            return
        node[name] = {}
    walk(node[name], rest, change, create=create)


def put_all(values: dict[str, str]) -> Change:
    """Adds `values` to a map."""

    def change(node: Dict, name: str) -> None:
        node[name] = {**(node.get(name) or {}), **values}

    return change
