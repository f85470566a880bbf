"""Counts which victims would break a disruption budget.

Source: Kubernetes, "Pod Priority and Preemption", PodDisruptionBudget is supported, but not guaranteed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from apimachinery.selectors import Selector, selector_of
from scheduler.framework import Handle
from scheduler.state.podinfo import PodInfo
from scheduler.state.shape import Shape
from scheduler.views.poddisruptionbudget import PodDisruptionBudget

BUDGETED_SHAPES = 4096  # shapes whose budgets are remembered until one of the budgets changes


@dataclass(frozen=True, slots=True, eq=False)
class Budget:
    key: str
    selector: Selector
    allowed: int
    """How many more pods may be disrupted now."""
    disrupted: frozenset[str]
    """The names of pods that the budget has counted as disrupted, though they may still be there."""


class Budgets:
    def __init__(self, handle: Handle) -> None:
        self._lister = handle.lister
        self._version = ""
        self._by_namespace: dict[str, list[Budget]] = {}
        self._by_shape: dict[Shape, tuple[Budget, ...]] = {}

    def protect(self) -> bool:
        """Tells whether there are budgets at all, as they are now."""
        version = self._lister.version(PodDisruptionBudget)
        if version != self._version:
            self._load(version)
        return bool(self._by_namespace)

    def violated_by(self, pods: Iterable[PodInfo]) -> list[bool]:
        """Tells for each of these pods, evicted one after the other, whether that would break a budget.

        The budgets are those that `protect` found.
        """
        spent: dict[str, int] = {}
        answers = []
        for pod in pods:
            violates = False
            for budget in self._of(pod.shape):
                if pod.pod.name in budget.disrupted:
                    continue
                spent[budget.key] = spent.get(budget.key, 0) + 1
                violates |= spent[budget.key] > budget.allowed
            answers.append(violates)
        return answers

    def _of(self, shape: Shape) -> tuple[Budget, ...]:
        """Returns the budgets that pods of this shape count in."""
        budgets = self._by_shape.get(shape)
        if budgets is None:
            if len(self._by_shape) >= BUDGETED_SHAPES:
                self._by_shape.clear()
            there = self._by_namespace.get(shape.namespace, ())
            budgets = self._by_shape[shape] = tuple(item for item in there if item.selector.matches(shape.labels))
        return budgets

    def _load(self, version: str) -> None:
        """Reads all budgets anew; one without a selector, or with an empty one, protects nothing here."""
        self._version = version
        self._by_shape.clear()
        self._by_namespace.clear()
        for item in self._lister.list(PodDisruptionBudget):
            selector = selector_of(item.spec.selector)
            if not selector.nothing and not selector.empty:
                disrupted = frozenset(item.status.disruptedPods or ())
                budget = Budget(item.key, selector, item.status.disruptionsAllowed, disrupted)
                self._by_namespace.setdefault(item.namespace, []).append(budget)
