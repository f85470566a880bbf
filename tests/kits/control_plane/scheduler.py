"""Pods, nodes and a scheduler's insides for tests, without an API server."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from apimachinery.meta import Object
from apimachinery.model import from_dict
from scheduler.core.extension_points import Framework
from scheduler.core.placement import Choice, Placement
from scheduler.framework import Cycle, Handle, PluginSpec, Unfit, collect_plugins, pod_fields
from scheduler.state.cache import SchedulerCache
from scheduler.state.shape import Shapes
from scheduler.views.node import Node
from scheduler.views.pod import Pod

T = TypeVar("T", bound=Object)

_uids = itertools.count(1)


def pod(name: str = "web", namespace: str = "default", /, *, cpu: str = "", memory: str = "", **spec: Any) -> Pod:
    """A pod of one container: `labels`, `owner` (kind, name), `uid`, `version`, `generation`, `deleted` are its
    metadata, `started`, `nominated`, `conditions` its status, the rest its spec."""
    metadata: dict[str, Any] = {"name": name, "namespace": namespace, "labels": spec.pop("labels", {})}
    metadata["uid"] = spec.pop("uid", f"uid-{next(_uids)}")
    owner = spec.pop("owner", None)
    if owner:
        metadata["ownerReferences"] = [{"kind": owner[0], "name": owner[1], "controller": True}]
    if spec.pop("deleted", False):
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    metadata["generation"] = spec.pop("generation", None)
    metadata["resourceVersion"] = spec.pop("version", None)
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    container = {
        "image": spec.pop("image", None),
        "resources": {"requests": requests},
        "ports": spec.pop("ports", None),
    }
    status = {
        "startTime": spec.pop("started", None),
        "nominatedNodeName": spec.pop("nominated", None),
        "conditions": spec.pop("conditions", None),
    }
    return from_dict(Pod, {"metadata": metadata, "spec": {"containers": [container]} | spec, "status": status})


def node(name: str = "n1", /, *, cpu: str = "4", memory: str = "8Gi", pods: str = "110", **more: Any) -> Node:
    """`labels`, `taints` ("key=value:Effect"), `unschedulable`, `images` {name: bytes}, `extra` resources."""
    labels = {"kubernetes.io/hostname": name} | more.pop("labels", {})
    spec = {
        "taints": [_taint(text) for text in more.pop("taints", ())],
        "unschedulable": more.pop("unschedulable", None),
    }
    images = [{"names": [image], "sizeBytes": size} for image, size in more.pop("images", {}).items()]
    allocatable = {"cpu": cpu, "memory": memory, "pods": pods} | more.pop("extra", {})
    assert not more, more
    status = {"allocatable": allocatable, "images": images}
    return from_dict(Node, {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status})


def _taint(text: str) -> dict[str, str]:
    body, _, effect = text.rpartition(":")
    key, _, value = body.partition("=")
    return {"key": key, "value": value, "effect": effect}


class FakeLister:
    """Objects as informers would hold them."""

    def __init__(self) -> None:
        self.objects: dict[type[Object], dict[str, Object]] = {}
        self.changes = 0

    def put(self, obj: Object) -> None:
        self.objects.setdefault(type(obj), {})[obj.key] = obj
        self.changes += 1

    def remove(self, obj: Object) -> None:
        del self.objects[type(obj)][obj.key]
        self.changes += 1

    def get(self, model: type[T], key: str) -> T | None:
        found = self.objects.get(model, {}).get(key)
        return found if isinstance(found, model) else None

    def list(self, model: type[T], namespace: str = "") -> list[T]:
        found = self.objects.get(model, {}).values()
        return [item for item in found if isinstance(item, model) and namespace in ("", item.namespace)]

    def version(self, model: type[Object]) -> str:
        return str(self.changes)


class Turns(random.Random):
    """Takes equally good nodes in turn instead of at random."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = 0

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        self._turn += 1
        return self._turn % start


class World:
    """A cache with nodes and pods, and a placement over it."""

    def __init__(
        self,
        *nodes: Node,
        only: Iterable[str] | None = None,
        specs: list[PluginSpec] | None = None,
        points: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        """`only` names the plugins beside those that sort and bind, `points` those of extension points."""
        specs = collect_plugins() if specs is None else specs
        self.cache = SchedulerCache(Shapes(pod_fields(specs)))
        self.lister = FakeLister()
        if only is not None:
            keep = {"PrioritySort", "DefaultBinder", *only}
            specs = [spec for spec in specs if spec.name in keep]
        self.handle = Handle(self.cache, self.lister)
        self.framework = Framework(specs, self.handle, points)
        self.placement = Placement(self.framework, self.cache, Turns())
        for item in nodes:
            self.cache.put_node(item)

    def run(self, pod: Pod, node: str) -> Pod:
        """The pod is on the node, as the API says."""
        bound = pod.clone()
        bound.spec.nodeName = node
        self.cache.put_pod(bound)
        return bound

    def cycle(self, pod: Pod) -> Cycle:
        return Cycle(pod, self.cache.shapes.of(pod))

    def choose(self, pod: Pod) -> Choice | Unfit:
        return self.placement.choose(self.cycle(pod))

    def place(self, pod: Pod) -> str:
        """The chosen node, where the pod is then assumed; "" when nothing fits."""
        cycle = self.cycle(pod)
        outcome = self.placement.choose(cycle)
        if isinstance(outcome, Unfit):
            return ""
        self.cache.assume(pod, cycle.shape, outcome.node, cycle.storage)
        return outcome.node

    def message(self, pod: Pod) -> str:
        """Why nothing fits."""
        outcome = self.choose(pod)
        assert isinstance(outcome, Unfit), outcome
        return outcome.message

    def fitting(self, make: Callable[[], Pod]) -> set[str]:
        """All nodes that such a pod may go to."""
        outcome = self.choose(make())
        if isinstance(outcome, Unfit):
            return set()
        rows = _feasible_rows(self, make())
        assert len(rows) == outcome.feasible
        return {self.cache.table.names[row] for row in rows}

    def scores(self, name: str, pod: Pod) -> dict[str, int]:
        """Node -> what one plugin gives it, normalized."""
        plugin = self.framework.plugins[name]
        cycle = self.cycle(pod)
        table = self.cache.table
        rows = sorted(table.rows.values())
        if plugin.pre_score(cycle) is not None:
            return {}
        import numpy as np

        found = plugin.score(cycle, np.array(rows))
        if plugin.normalizes and found.any():
            found = plugin.normalize(cycle, found.astype(np.float64))
        return {table.names[row]: int(score) for row, score in zip(rows, found, strict=True)}


def _feasible_rows(world: World, pod: Pod) -> list[int]:
    """By asking every filter about every node, one at a time: the slow way."""
    import numpy as np

    from scheduler.framework import SKIP, Only

    cycle, table = world.cycle(pod), world.cache.table
    rows = set(table.rows.values())
    for plugin in world.framework.filter:
        answer = plugin.pre_filter(cycle)
        if isinstance(answer, Only):
            rows &= {table.rows[name] for name in answer.nodes if name in table.rows}
        if answer is not SKIP and plugin.filters:
            rows = {row for row in rows if plugin.filter(cycle, np.array([row]))[0]}
    return sorted(rows)
