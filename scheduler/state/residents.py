"""Ranks the pods of one node by importance: the order in which preemption spares them.

Source: Kubernetes, "Pod Priority and Preemption".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

import numpy as np

from scheduler.state.podinfo import PodInfo
from scheduler.state.shape import IntArray
from scheduler.state.table import NodeTable


class Residents:
    """Holds the pods of a node as they are now: another is made when one comes, goes or starts."""

    __slots__ = ("_amounts", "pods", "priorities")

    def __init__(self, pods: Iterable[PodInfo]) -> None:
        self.pods = sorted(pods, key=lambda pod: (-pod.priority, pod.start))
        """By falling priority, and among equals the one that runs longest first."""
        self.priorities = np.array([pod.priority for pod in self.pods], np.int64)
        self._amounts: IntArray | None = None

    def first_below(self, priority: int) -> int:
        """Returns the index of the first pod of a lower priority."""
        return bisect_right(self.pods, -priority, key=lambda pod: -pod.priority)

    def amounts(self, table: NodeTable) -> IntArray:
        """Returns what each pod asks for: a row a pod, a column a resource of the table."""
        amounts = self._amounts
        if amounts is None or amounts.shape[1] < len(table.resources):
            vectors = [table.vector(pod.shape) for pod in self.pods]
            amounts = self._amounts = np.zeros((len(self.pods), len(table.resources)), np.int64)
            for index, (numbers, requested) in enumerate(vectors):
                amounts[index, numbers] = requested
        return amounts
