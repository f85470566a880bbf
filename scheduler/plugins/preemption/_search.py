"""Finds the node where making room costs least, and the fewest pods that must go there. Changes nothing.

All candidates are tried at once: first every pod of lower priority leaves every candidate, then they come back one by
one, the most important first, and stay where the new pod fits nevertheless. Filters that look across nodes must be
asked about each candidate by itself, with the counts as they would be.

Source: Kubernetes, "Pod Priority and Preemption".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from scheduler.framework import SKIP, Cycle, Plugin, Rejected
from scheduler.plugins.preemption._budgets import Budgets
from scheduler.state.cache import SchedulerCache
from scheduler.state.podinfo import PodInfo
from scheduler.state.shape import IntArray
from scheduler.state.table import BoolArray, NodeTable, Rows

NO_VICTIMS = "No preemption victims found for incoming pod"
PRIORITY_SHIFT = 2**31  # added to each victim's priority in the sum, so that more victims never sum up to less


@dataclass(frozen=True, slots=True)
class Preemption:
    """Says what preemption on one node costs. `cost` is compared first, then `start`: the later, the cheaper."""

    node: str
    victims: list[PodInfo]
    cost: tuple[int, int, int, int]
    """(budgets violated, highest priority, sum of priorities, number) of the victims."""
    start: str
    """When the first of the victims of highest priority started."""


@dataclass(slots=True)
class _Candidate:
    """Describes a node with pods of lower priority."""

    row: int
    node: str
    pods: list[PodInfo]
    """Those pods, the first to be spared first: whose eviction breaks a budget, and the most important."""
    amounts: IntArray
    """What each of them asks for."""
    violating: int
    """How many of them, at the front, would break a budget."""


class VictimSearch:
    def __init__(self, cycle: Cycle, cache: SchedulerCache, budgets: Budgets) -> None:
        self.reasons: Counter[str] = Counter()
        """Why nodes that were looked at won't do, and how many for each reason."""
        self._cycle, self._cache, self._table, self._budgets = cycle, cache, cache.table, budgets
        self._priority = cycle.pod.spec.priority or 0
        self._table.vector(cycle.shape)
        self._local = [plugin for plugin in cycle.filters if plugin.local and plugin.counts_pods]
        self._fixed = [plugin for plugin in cycle.filters if not plugin.counts_pods]
        self._crossing = [plugin for plugin in cycle.filters if not plugin.local and plugin.counts_pods]

    def best(self, rows: IntArray, wanted: int) -> Preemption | None:
        """Tries the rows in this order until `wanted` of them would do, at least one without breaking a budget."""
        best: Preemption | None = None
        count = 0
        for begin in range(0, len(rows), max(wanted, 1)):
            candidates = self._candidates(rows[begin : begin + wanted])
            candidates, evicted = self._tried_alone(candidates) if self._crossing else self._tried(candidates)
            count += len(candidates)
            if candidates:
                chosen = _cheapest(candidates, evicted)
                best = chosen if best is None or _is_cheaper(chosen, best) else best
            if best is not None and best.cost[0] == 0 and count >= wanted:
                break
        return best

    def _candidates(self, rows: IntArray) -> list[_Candidate]:
        """Describes those of the rows where pods might go."""
        passed = self._asked(self._fixed, rows)
        candidates = []
        for row in passed.tolist():
            node = self._table.names[row]
            residents = self._cache.residents(node)
            first = residents.first_below(self._priority)
            pods, amounts = residents.pods[first:], residents.amounts(self._table)[first:]
            if not pods:
                self.reasons[NO_VICTIMS] += 1
                continue
            violates = self._budgets.violated_by(pods)
            if any(violates):
                order = sorted(range(len(pods)), key=lambda index: not violates[index])
                pods, amounts = [pods[index] for index in order], amounts[order]
            candidates.append(_Candidate(row, node, pods, amounts, sum(violates)))
        return candidates

    def _asked(self, filters: list[Plugin], rows: IntArray) -> IntArray:
        """Returns the rows that the filters let pass, and notes their reasons against the others."""
        for plugin in filters:
            fits = plugin.filter(self._cycle, rows)
            if not fits.all():
                self.reasons.update(plugin.reasons(self._cycle, rows[~fits]))
                rows = rows[fits]
        return rows

    # all candidates at once

    def _tried(self, candidates: list[_Candidate]) -> tuple[list[_Candidate], BoolArray]:
        """Returns the candidates that will do, and for each which of its pods must go."""
        with _trial(self._table) as (free, ports):
            for item in candidates:
                for pod in self._promised(item):
                    numbers, amounts = self._table.vector(pod.shape)
                    free[numbers, item.row] -= amounts
                    ports.move(item.row, pod, 1)
                for pod in item.pods:
                    ports.move(item.row, pod, -1)
            rows, asked = np.array([item.row for item in candidates], np.int64), _stacked(candidates, len(free))
            free[:, rows] += asked.sum(axis=1).T
            passed = np.isin(rows, self._asked(self._local, rows))
            candidates = [item for item, passes in zip(candidates, passed, strict=True) if passes]
            rows, asked = rows[passed], asked[passed]
            lengths = np.array([len(item.pods) for item in candidates], np.int64)
            evicted = np.zeros(asked.shape[:2], np.bool_)
            for index in range(asked.shape[1]):
                having = np.flatnonzero(lengths > index)
                free[:, rows[having]] -= asked[having, index].T
                for number in having.tolist() if ports.matter else ():
                    ports.move(candidates[number].row, candidates[number].pods[index], 1)
                refused = having[~self._fits(rows[having])]
                evicted[refused, index] = True
                free[:, rows[refused]] += asked[refused, index].T
                for number in refused.tolist() if ports.matter else ():
                    ports.move(candidates[number].row, candidates[number].pods[index], -1)
        return candidates, evicted

    def _fits(self, rows: Rows) -> BoolArray:
        fits = np.ones(len(self._table.valid[rows]), np.bool_)
        for plugin in self._local:
            fits &= plugin.filter(self._cycle, rows)
        return fits

    def _promised(self, candidate: _Candidate) -> list[PodInfo]:
        return self._cache.nominations.before(candidate.node, self._priority, self._cycle.uid)

    # each by itself

    def _tried_alone(self, candidates: list[_Candidate]) -> tuple[list[_Candidate], BoolArray]:
        passed: list[_Candidate] = []
        evicted = np.zeros((len(candidates), max((len(item.pods) for item in candidates), default=0)), np.bool_)
        for item in candidates:
            with self._cache.supposing() as world:
                for pod in self._promised(item):
                    world.add(pod)
                for pod in item.pods:
                    world.remove(pod)
                refusal = self._refusal(item.row)
                if refusal is not None:
                    self.reasons.update(refusal)
                    continue
                for index, pod in enumerate(item.pods):
                    world.add(pod)
                    if self._refusal(item.row) is not None:
                        world.remove(pod)
                        evicted[len(passed), index] = True
                passed.append(item)
        return passed, evicted[: len(passed)]

    def _refusal(self, row: int) -> Mapping[str, int] | None:
        """Asks the filters about one row as things are supposed to be; returns the reasons of the first refusal."""
        rows = np.array([row], np.int64)
        probe = Cycle(self._cycle.pod, self._cycle.shape)
        probe.state = dict(self._cycle.state)
        for plugin in self._local:
            if not plugin.filter(probe, rows)[0]:
                return plugin.reasons(probe, rows)
        for plugin in self._crossing:
            answer = plugin.pre_filter(probe)
            if isinstance(answer, Rejected):
                return {answer.reason: 1}
            if answer is not SKIP and not plugin.filter(probe, rows)[0]:
                return plugin.reasons(probe, rows)
        return None


# what might be


class _Ports:
    """Moves host ports in and out of the table, and puts them back in the end."""

    def __init__(self, table: NodeTable) -> None:
        self._table = table
        self._moves: list[tuple[int, PodInfo, int]] = []

    @property
    def matter(self) -> bool:
        """Tells whether any of the pods has host ports."""
        return bool(self._moves)

    def move(self, row: int, pod: PodInfo, times: int) -> None:
        if pod.shape.host_ports:
            self._table.use_ports(row, pod.shape, times)
            self._moves.append((row, pod, times))

    def undo(self) -> None:
        while self._moves:
            row, pod, times = self._moves.pop()
            self._table.use_ports(row, pod.shape, -times)


@contextmanager
def _trial(table: NodeTable) -> Iterator[tuple[IntArray, _Ports]]:
    """Gives the table another `free` and ports to play with for a while."""
    free, ports = table.free, _Ports(table)
    table.free = free.copy()
    try:
        yield table.free, ports
    finally:
        table.free = free
        ports.undo()


def _stacked(candidates: list[_Candidate], resources: int) -> IntArray:
    """Returns what the pods ask for, by candidate, pod and resource; zeros where a candidate has fewer pods."""
    most = max((len(item.pods) for item in candidates), default=0)
    asked = np.zeros((len(candidates), most, resources), np.int64)
    for index, item in enumerate(candidates):
        asked[index, : len(item.pods)] = item.amounts
    return asked


# which of them


def _cheapest(candidates: list[_Candidate], evicted: BoolArray) -> Preemption:
    """Compares as upstream does: budgets violated, highest priority, sum, number, and the latest start."""
    most = evicted.shape[1]
    priorities = np.zeros(evicted.shape, np.int64)
    for index, item in enumerate(candidates):
        priorities[index, : len(item.pods)] = [pod.priority for pod in item.pods]
    at_front = np.arange(most) < np.array([item.violating for item in candidates])[:, None]
    costs = (
        np.count_nonzero(evicted & at_front, axis=1),
        np.where(evicted, priorities, -PRIORITY_SHIFT).max(axis=1, initial=-PRIORITY_SHIFT),
        np.where(evicted, priorities + PRIORITY_SHIFT, 0).sum(axis=1),
        np.count_nonzero(evicted, axis=1),
    )
    left = np.arange(len(candidates))
    for cost in costs:
        left = left[cost[left] == cost[left].min()]
    highest = int(costs[1][left[0]])
    options = []
    for number in left.tolist():
        pods = candidates[number].pods
        victims = [pods[index] for index in np.flatnonzero(evicted[number]).tolist()]
        start = min(pod.start for pod in victims if pod.priority == highest)
        options.append((start, number, victims))
    start, number, victims = max(options, key=lambda option: option[0])
    victims.sort(key=lambda pod: (-pod.priority, pod.start))
    cost = (int(costs[0][number]), highest, int(costs[2][number]), len(victims))
    return Preemption(candidates[number].node, victims, cost, start)


def _is_cheaper(one: Preemption, other: Preemption) -> bool:
    return one.cost < other.cost or (one.cost == other.cost and one.start > other.start)
