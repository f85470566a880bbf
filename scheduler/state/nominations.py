"""Remembers which node a waiting pod was promised: others of the same or a lower priority leave it room there.

What the scheduler has just decided counts from that moment on, before the pod's status says so.
"""

from __future__ import annotations

import numpy as np

from scheduler.state.podinfo import PodInfo, pod_id
from scheduler.state.resources import PODS
from scheduler.state.shape import IntArray, Shapes
from scheduler.state.storage import pod_storage
from scheduler.state.table import NodeTable
from scheduler.views.pod import Pod


class Nominations:
    """Is bounded by the pods that have no node."""

    def __init__(self, shapes: Shapes, table: NodeTable) -> None:
        self._shapes, self._table = shapes, table
        self._by_uid: dict[str, PodInfo] = {}
        self._by_node: dict[str, dict[str, PodInfo]] = {}
        self._layout: tuple[int, ...] = ()
        self._promised: dict[int, IntArray] = {}
        """Priority -> what pods of that priority are promised: resources by rows of the table."""
        self._beyond_amounts = 0
        """How many of the pods ask for more than amounts: terms that keep pods away, ports, storage."""

    def __len__(self) -> int:
        return len(self._by_uid)

    def put(self, pod: Pod, node: str) -> None:
        """Promises the pod this node; "" takes the promise back."""
        self.remove(pod_id(pod))
        if node:
            shape, storage = self._shapes.of(pod), pod_storage(pod)
            self._table.vector(shape)  # before anything is added up: the table may get another resource
            promised = PodInfo(pod, shape, node, assumed=True, terminating=False, storage=storage)
            self._by_uid[promised.uid] = promised
            self._by_node.setdefault(node, {})[promised.uid] = promised
            self._count(promised, 1)

    def remove(self, uid: str) -> None:
        promised = self._by_uid.pop(uid, None)
        if promised is not None:
            others = self._by_node[promised.node]
            del others[uid]
            if not others:
                del self._by_node[promised.node]
            self._count(promised, -1)

    def observe(self, old: Pod | None, new: Pod) -> None:
        """Takes in what the API says of a waiting pod; a status that says nothing new leaves a younger decision."""
        node = new.status.nominatedNodeName or ""
        if old is None or node != (old.status.nominatedNodeName or ""):
            self.put(new, node)

    def node_of(self, uid: str) -> str:
        """Returns the node that the pod is promised; "" for none."""
        promised = self._by_uid.get(uid)
        return promised.node if promised is not None else ""

    def on_node(self, name: str) -> list[PodInfo]:
        return list(self._by_node.get(name, {}).values())

    def before(self, name: str, priority: int, uid: str) -> list[PodInfo]:
        """Lists the other pods that are promised this node and that a pod of this priority has to leave room for."""
        pods = self._by_node.get(name)
        return [pod for pod in pods.values() if pod.priority >= priority and pod.uid != uid] if pods else []

    # columns

    @property
    def amounts_suffice(self) -> bool:
        """Tells whether amounts are all that these pods ask for."""
        return not self._beyond_amounts

    def promised(self, priority: int, uid: str) -> IntArray:
        """Adds up what a pod of this priority has to leave to others: resources by rows of the table."""
        if not self._is_current():
            self._layout = self._table_layout()
            self._promised.clear()
            self._beyond_amounts = 0
            for pod in self._by_uid.values():
                self._count(pod, 1)
        total = np.zeros_like(self._table.free)
        for level, amounts in self._promised.items():
            if level >= priority:
                total += amounts
        own = self._by_uid.get(uid)
        if own is not None and own.priority >= priority:
            self._add(total, own, -1)
        return total

    def _table_layout(self) -> tuple[int, ...]:
        return (self._table.layout, *self._table.allocatable.shape)

    def _is_current(self) -> bool:
        """Tells whether the arrays have the table's rows; else all is added up anew when it is needed next."""
        return self._layout == self._table_layout()

    def _count(self, pod: PodInfo, times: int) -> None:
        """Adds (`times` is 1) or takes away (-1) the amounts of a pod that is promised a node."""
        if pod.shape.held or pod.shape.host_ports or pod.storage is not None:
            self._beyond_amounts += times
        if not self._is_current():
            return
        amounts = self._promised.get(pod.priority)
        if amounts is None:
            amounts = self._promised[pod.priority] = np.zeros_like(self._table.free)
        self._add(amounts, pod, times)
        if times < 0 and not amounts[self._table.resources[PODS]].any():
            del self._promised[pod.priority]

    def _add(self, total: IntArray, pod: PodInfo, times: int) -> None:
        row = self._table.rows.get(pod.node)
        if row is not None:
            numbers, amounts = self._table.vector(pod.shape)
            total[numbers, row] += times * amounts
