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
    version: int


class Budgets:
    def __init__(self, handle: Handle) -> None:
        self._lister, self._cache = handle.lister, handle.cache
        self._version = ""
        self._by_namespace: dict[str, list[Budget]] = {}
        self._by_shape: dict[Shape, tuple[Budget, ...]] = {}
        self._spent: dict[str, dict[str, int]] = {}
        """Budget -> victims that its status does not count yet, by uid: each with the version at which it began to go,
        0 before that."""

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
                uncounted = self._uncounted(budget)
                if pod.pod.name in budget.disrupted or pod.uid in uncounted:
                    continue
                spent[budget.key] = spent.get(budget.key, len(uncounted)) + 1
                violates |= spent[budget.key] > budget.allowed
            answers.append(violates)
        return answers

    def spend(self, victims: Iterable[PodInfo]) -> None:
        """Takes note of pods that are evicted now: until the budgets' statuses say so, they allow so many less."""
        for pod in victims:
            for budget in self._of(pod.shape) if not pod.terminating else ():
                self._spent.setdefault(budget.key, {})[pod.uid] = 0

    def _uncounted(self, budget: Budget) -> dict[str, int]:
        """Returns the victims that are not in the budget's status yet, which is written after they begin to go."""
        victims = self._spent.get(budget.key)
        if not victims:
            return {}
        for uid, since in list(victims.items()):
            pod = self._cache.get(uid)
            if pod is not None and pod.terminating:
                victims[uid] = since = since or int(pod.pod.metadata.resourceVersion or 0)
            if pod is None or (pod.terminating and budget.version > since):
                del victims[uid]
        if not victims:
            del self._spent[budget.key]
        return victims

    def _of(self, shape: Shape) -> tuple[Budget, ...]:
        """Returns the budgets that pods of this shape count in."""
        budgets = self._by_shape.get(shape)
        if budgets is None:
            if len(self._by_shape) >= BUDGETED_SHAPES:
                self._by_shape.clear()
            there = self._by_namespace.get(shape.namespace, ())
            budgets = self._by_shape[shape] = tuple(item for item in there if item.selector.matches(shape.labels))
        return budgets

    def _load(self, lister_version: str) -> None:
        """Reads all budgets anew; one without a selector, or with an empty one, protects nothing here."""
        self._version = lister_version
        self._by_shape.clear()
        self._by_namespace.clear()
        for item in self._lister.list(PodDisruptionBudget):
            selector = selector_of(item.spec.selector)
            if not selector.nothing and not selector.empty:
                disrupted = frozenset(item.status.disruptedPods or ())
                version = int(item.metadata.resourceVersion or 0)
                budget = Budget(item.key, selector, item.status.disruptionsAllowed, disrupted, version)
                self._by_namespace.setdefault(item.namespace, []).append(budget)
        keys = {budget.key for budgets in self._by_namespace.values() for budget in budgets}
        self._spent = {key: victims for key, victims in self._spent.items() if key in keys}
