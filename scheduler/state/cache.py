"""Keeps which pods are on which node: those that the API says, and those that this scheduler has just put there.

A pod is *assumed* from the moment a node is chosen: the next pod must see the room taken while the binding request is
still under way. The watch confirms it; a failed binding forgets it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from scheduler.state.counters import PodCounters, PodKind
from scheduler.state.nominations import Nominations
from scheduler.state.podinfo import PodInfo, pod_id
from scheduler.state.residents import Residents
from scheduler.state.shape import IntArray, Shape, Shapes
from scheduler.state.storage import PodStorage, pod_storage
from scheduler.state.table import NodeTable
from scheduler.views.node import Node
from scheduler.views.pod import Pod


class SchedulerCache:
    """Keeps the table right. Pods of nodes that are not known (yet) are kept, and count once the node comes."""

    def __init__(self, shapes: Shapes | None = None) -> None:
        self.table = NodeTable()
        self.shapes = shapes or Shapes()
        self.counters = PodCounters(self.table)
        self.nominations = Nominations(self.shapes, self.table)
        self._pods: dict[str, PodInfo] = {}
        self._by_node: dict[str, dict[str, PodInfo]] = {}
        self._with_storage: dict[str, PodInfo] = {}
        self._residents: dict[str, Residents] = {}
        self._priorities: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._pods)

    def get(self, uid: str) -> PodInfo | None:
        return self._pods.get(uid)

    def on_node(self, name: str) -> list[PodInfo]:
        return list(self._by_node.get(name, {}).values())

    def residents(self, name: str) -> Residents:
        """Returns the pods on a node, the most important first."""
        residents = self._residents.get(name)
        if residents is None:
            residents = self._residents[name] = Residents(self._by_node.get(name, {}).values())
        return residents

    def has_below(self, priority: int) -> bool:
        """Tells whether any pod on a node has a lower priority."""
        return any(level < priority for level in self._priorities)

    def pods(self) -> Collection[PodInfo]:
        """Returns a view, not a copy."""
        return self._pods.values()

    def with_storage(self) -> Iterator[tuple[str, PodInfo, PodStorage]]:
        """Yields the uid of each pod on a node that has claims or disks, with these."""
        for uid, pod in self._with_storage.items():
            if pod.storage is not None:
                yield uid, pod, pod.storage

    def count(self, kind: PodKind) -> IntArray:
        """Counts the pods of this kind per row of the table."""
        return self.counters.get(kind, self._pods.values())

    # what this scheduler does

    def assume(self, pod: Pod, shape: Shape, node: str, storage: PodStorage | None = None) -> None:
        self._add(pod_id(pod), PodInfo(pod, shape, node, assumed=True, terminating=False, storage=storage))

    def forget(self, uid: str) -> None:
        """Undoes `assume`; a pod that was confirmed or is gone meanwhile stays as it is."""
        pod = self._pods.get(uid)
        if pod is not None and pod.assumed:
            self._remove(uid, pod)

    # what the API says

    def put_pod(self, pod: Pod) -> None:
        """Takes in a pod with a node: new, changed, or the confirmation of an assumed one."""
        uid, node = pod_id(pod), pod.spec.nodeName or ""
        terminating = pod.metadata.deletionTimestamp is not None
        shape = self.shapes.of(pod)
        cached = self._pods.get(uid)
        if cached is not None:
            if cached.node == node and cached.shape is shape and cached.terminating == terminating:
                cached.assumed = False
                self.renew_pod(pod)
                return
            self._remove(uid, cached)
        self._add(uid, PodInfo(pod, shape, node, assumed=False, terminating=terminating, storage=pod_storage(pod)))

    def renew_pod(self, pod: Pod) -> None:
        """Takes in a change of a pod that matters to preemption alone: when it started, and why it is to go."""
        cached = self._pods.get(pod_id(pod))
        if cached is not None:
            if pod.status.startTime != cached.pod.status.startTime:
                self._residents.pop(cached.node, None)
            cached.pod = pod

    def remove_pod(self, pod: Pod) -> None:
        uid = pod_id(pod)
        cached = self._pods.get(uid)
        if cached is not None:
            self._remove(uid, cached)

    def put_node(self, node: Node) -> None:
        fresh = node.name not in self.table.rows
        row = self.table.put(node)
        if fresh:
            for pod in self._by_node.get(node.name, {}).values():
                self._count(row, pod)

    def remove_node(self, name: str) -> None:
        row = self.table.rows.get(name)
        if row is not None:
            self.table.drop(name)
            self.counters.clear_row(row)

    # what might be

    @contextmanager
    def supposing(self) -> Iterator[Supposition]:
        """Lets pods come and go for the sake of argument; in the end all is as before, revisions included."""
        table = self.table
        revision, changed = table.revision, table.changed.copy()
        supposition = Supposition(self._add, self._remove)
        try:
            yield supposition
        finally:
            supposition.undo()
            table.revision, table.changed = revision, changed

    def _add(self, uid: str, pod: PodInfo) -> None:
        self._pods[uid] = pod
        self._by_node.setdefault(pod.node, {})[uid] = pod
        self._residents.pop(pod.node, None)
        self._priorities[pod.priority] += 1
        if pod.storage is not None:
            self._with_storage[uid] = pod
        row = self.table.rows.get(pod.node)
        if row is not None:
            self._count(row, pod)

    def _count(self, row: int, pod: PodInfo) -> None:
        self.table.take(row, pod.shape)
        self.counters.add(row, pod.shape, pod.terminating, 1)

    def _remove(self, uid: str, pod: PodInfo) -> None:
        del self._pods[uid]
        self._with_storage.pop(uid, None)
        self._residents.pop(pod.node, None)
        self._priorities[pod.priority] -= 1
        if not self._priorities[pod.priority]:
            del self._priorities[pod.priority]
        others = self._by_node[pod.node]
        del others[uid]
        if not others:
            del self._by_node[pod.node]
        row = self.table.rows.get(pod.node)
        if row is not None:
            self.table.give_back(row, pod.shape)
            self.counters.add(row, pod.shape, pod.terminating, -1)


class Supposition:
    """Changes which pods are on nodes until it is undone. No plugin may keep what it finds meanwhile."""

    def __init__(self, add: Callable[[str, PodInfo], None], remove: Callable[[str, PodInfo], None]) -> None:
        self._add, self._remove = add, remove
        self._steps: list[tuple[Callable[[str, PodInfo], None], PodInfo]] = []

    def add(self, pod: PodInfo) -> None:
        self._add(pod.uid, pod)
        self._steps.append((self._remove, pod))

    def remove(self, pod: PodInfo) -> None:
        self._remove(pod.uid, pod)
        self._steps.append((self._add, pod))

    def undo(self) -> None:
        while self._steps:
            step, pod = self._steps.pop()
            step(pod.uid, pod)
