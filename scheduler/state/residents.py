"""Ranks the pods of one node by importance: the order in which preemption spares them.

Source: Kubernetes, "Pod Priority and Preemption".
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from scheduler.state.podinfo import PodInfo
from scheduler.state.shape import IntArray
from scheduler.state.table import NodeTable


class Residents:
    """Holds the pods of a node as they are now: another is made when one comes, goes or starts."""

    __slots__ = ("_amounts", "_keys", "pods", "priorities", "starts")

    def __init__(self, pods: Iterable[PodInfo]) -> None:
        ranked = sorted(((-pod.priority, pod.start, pod) for pod in pods), key=lambda item: item[:2])
        self.pods = [pod for _, _, pod in ranked]
        """By falling priority, and among equals the one that runs longest first."""
        self._keys = [key for key, _, _ in ranked]
        self.priorities: IntArray = -np.array(self._keys, np.int64)
        self.starts: NDArray[np.float64] = np.array([start for _, start, _ in ranked])
        self._amounts: IntArray | None = None

    def first_below(self, priority: int) -> int:
        """Returns the index of the first pod of a lower priority."""
        return bisect_right(self._keys, -priority)

    def amounts(self, table: NodeTable) -> IntArray:
        """Returns what each pod asks for: a row a pod, a column a resource of the table."""
        amounts = self._amounts
        if amounts is None or amounts.shape[1] < len(table.resources):
            vectors = [table.vector(pod.shape) for pod in self.pods]
            amounts = self._amounts = np.zeros((len(self.pods), len(table.resources)), np.int64)
            for index, (numbers, requested) in enumerate(vectors):
                amounts[index, numbers] = requested
        return amounts
