"""Describes what it costs to make room on a node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from scheduler.state.podinfo import PodInfo

PRIORITY_SHIFT = 2**31  # added to each victim's priority in the sum, so that more victims never sum up to less


@dataclass(frozen=True, slots=True)
class Preemption:
    """Names a node and the pods that would have to go there, one at least, the most important first."""

    node: str
    victims: list[PodInfo]
    violated: int
    """How many of the evictions break a budget."""

    @property
    def cost(self) -> tuple[int, int, int, int, float]:
        """Compares preemptions: the least is the best.

        (violated, highest priority, sum of priorities, number) of the victims, and how long ago the first of those of
        the highest priority started, so to speak: the negative start, in Unix seconds.
        """
        priorities = [pod.priority for pod in self.victims]
        highest = max(priorities)
        shifted = sum(priorities) + PRIORITY_SHIFT * len(priorities)
        start = min(pod.start for pod in self.victims if pod.priority == highest)
        return self.violated, highest, shifted, len(priorities), -start


def preemption(node: str, victims: Iterable[PodInfo], violated: int) -> Preemption:
    return Preemption(node, sorted(victims, key=lambda pod: (-pod.priority, pod.start)), violated)
