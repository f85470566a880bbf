"""Finds the node where making room costs least, and the fewest pods that must go there. Changes nothing.

All candidates are tried at once: first every pod of lower priority leaves every candidate, then they come back one by
one, the most important first, and stay where the new pod fits nevertheless. Filters that look across nodes must be
asked about each candidate by itself, with the counts as they would be.

Source: Kubernetes, "Pod Priority and Preemption".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from scheduler.framework import SKIP, Cycle, Plugin, Rejected
from scheduler.plugins.preemption._budgets import Budgets
from scheduler.state.cache import SchedulerCache, Supposition
from scheduler.state.podinfo import PodInfo
from scheduler.state.shape import IntArray
from scheduler.state.table import BoolArray, NodeTable, Rows
from scheduler.state.victims import PRIORITY_SHIFT, Preemption, preemption

FEWEST_AT_ONCE = 32  # candidates tried together when the first did not yield enough
NO_VICTIMS = "No preemption victims found for incoming pod"

T = TypeVar("T", np.int64, np.float64)


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Describes nodes with pods of lower priority, a row of each array a node, a column a pod.

    The first to be spared comes first: those whose eviction breaks a budget, then the most important. Columns beyond a
    node's pods are zero.
    """

    rows: IntArray
    pods: list[list[PodInfo]]
    lengths: IntArray
    """How many pods a node has."""
    violating: IntArray
    """How many of a node's pods, at the front, would break a budget."""
    amounts: IntArray
    """What each pod asks for, by resource in a third dimension."""
    priorities: IntArray
    starts: NDArray[np.float64]

    def only(self, which: IntArray) -> _Candidates:
        return _Candidates(
            self.rows[which],
            [self.pods[index] for index in which.tolist()],
            self.lengths[which],
            self.violating[which],
            self.amounts[which],
            self.priorities[which],
            self.starts[which],
        )


class VictimSearch:
    def __init__(self, cycle: Cycle, cache: SchedulerCache, budgets: Budgets) -> None:
        self.reasons: Counter[str] = Counter()
        """Why nodes that were looked at won't do, and how many for each reason."""
        self._cycle, self._cache, self._table, self._budgets = cycle, cache, cache.table, budgets
        self._priority = cycle.pod.spec.priority or 0
        self._table.vector(cycle.shape)
        filters = [plugin for plugin in cycle.filters if plugin.supposes]
        self._local = [plugin for plugin in filters if plugin.local and plugin.counts_pods]
        self._fixed = [plugin for plugin in filters if not plugin.counts_pods]
        self._crossing = [plugin for plugin in filters if not plugin.local and plugin.counts_pods]

    def best(self, rows: IntArray, wanted: int) -> Preemption | None:
        """Returns the cheapest of what `all` would."""
        groups = (
            self._preemption(candidates, evicted, _cheapest(candidates, evicted))
            for candidates, evicted in self._groups(rows, wanted)
        )
        return min(groups, key=attrgetter("cost"), default=None)

    def all(self, rows: IntArray, wanted: int) -> list[Preemption]:
        """Tries the rows in this order until `wanted` of them would do, at least one without breaking a budget."""
        return [
            self._preemption(candidates, evicted, number)
            for candidates, evicted in self._groups(rows, wanted)
            for number in range(len(evicted))
        ]

    def _groups(self, rows: IntArray, wanted: int) -> Iterator[tuple[_Candidates, BoolArray]]:
        """Yields the nodes that would do, as many at once as were tried together, and which pods must go there."""
        if not self._cache.has_below(self._priority):
            self.reasons[NO_VICTIMS] += len(self._asked(self._fixed, rows))
            return
        harmless = False
        count = begin = 0
        while begin < len(rows) and (count < wanted or not harmless):
            end = begin + (max(wanted - count, FEWEST_AT_ONCE) if begin else wanted)
            candidates = self._candidates(rows[begin:end])
            fits, evicted = self._tried(candidates)
            if self._crossing:
                evicted = self._tried_alone(candidates, fits, evicted)
            numbers = np.flatnonzero(evicted.any(axis=1))
            if len(numbers):
                candidates, evicted = candidates.only(numbers), evicted[numbers]
                harmless = harmless or not _violated(candidates, evicted).all()
                yield candidates, evicted
            count += len(numbers)
            begin = end

    def _preemption(self, candidates: _Candidates, evicted: BoolArray, number: int) -> Preemption:
        victims = [candidates.pods[number][index] for index in np.flatnonzero(evicted[number])]
        violated = int(np.count_nonzero(evicted[number, : candidates.violating[number]]))
        return preemption(self._table.names[candidates.rows[number]], victims, violated)

    def _candidates(self, rows: IntArray) -> _Candidates:
        """Describes those of the rows where pods might go."""
        having_lower, pods, violating = [], [], []
        parts: list[tuple[IntArray, IntArray, NDArray[np.float64]]] = []
        protects = self._budgets.protect()
        for row in self._asked(self._fixed, rows).tolist():
            residents = self._cache.residents(self._table.names[row])
            first = residents.first_below(self._priority)
            lower = residents.pods[first:]
            if not lower:
                self.reasons[NO_VICTIMS] += 1
                continue
            part = residents.amounts(self._table)[first:], residents.priorities[first:], residents.starts[first:]
            violates = self._budgets.violated_by(lower) if protects else ()
            if any(violates):
                order = sorted(range(len(lower)), key=lambda index: not violates[index])
                lower, part = [lower[index] for index in order], (part[0][order], part[1][order], part[2][order])
            having_lower.append(row)
            pods.append(lower)
            violating.append(sum(violates))
            parts.append(part)
        lengths = np.array([len(lower) for lower in pods], np.int64)
        return _Candidates(
            np.array(having_lower, np.int64),
            pods,
            lengths,
            np.array(violating, np.int64),
            _padded([part[0] for part in parts], lengths),
            _padded([part[1] for part in parts], lengths),
            _padded([part[2] for part in parts], lengths),
        )

    def _asked(self, filters: list[Plugin], rows: IntArray) -> IntArray:
        """Returns the rows that the filters let pass, and notes their reasons against the others."""
        for plugin in filters:
            fits = plugin.filter(self._cycle, rows)
            if not fits.all():
                self.reasons.update(plugin.reasons(self._cycle, rows[~fits]))
                rows = rows[fits]
        return rows

    # all candidates at once

    def _tried(self, candidates: _Candidates) -> tuple[BoolArray, BoolArray]:
        """Returns which candidates the local filters let pass without those pods, and which of these must go."""
        rows, amounts = candidates.rows, candidates.amounts
        evicted = np.zeros(amounts.shape[:2], np.bool_)
        if not len(rows):
            return np.zeros(0, np.bool_), evicted
        with self._table.trial() as free, _ports(self._table, matter=bool(self._cycle.shape.host_ports)) as ports:
            for row, pods in zip(rows.tolist(), candidates.pods, strict=True):
                for pod in self._promised(row):
                    numbers, asked = self._table.vector(pod.shape)
                    free[numbers, row] -= asked
                    ports.move(row, pod, 1)
                ports.move_all(row, pods, -1)
            free[:, rows] += amounts.sum(axis=1).T
            passed = np.zeros(len(self._table.valid), np.bool_)
            passed[self._asked(self._local, rows)] = True
            fits: BoolArray = passed[rows]
            for index in range(amounts.shape[1]):
                having = np.flatnonzero(fits & (candidates.lengths > index))
                free[:, rows[having]] -= amounts[having, index].T
                ports.move_each(rows[having], [candidates.pods[number][index] for number in having.tolist()], 1)
                refused = having[~self._fits(rows[having])]
                evicted[refused, index] = True
                free[:, rows[refused]] += amounts[refused, index].T
                ports.move_each(rows[refused], [candidates.pods[number][index] for number in refused.tolist()], -1)
        if not self._crossing:
            self.reasons[NO_VICTIMS] += int(np.count_nonzero(fits & ~evicted.any(axis=1)))
        return fits, evicted

    def _fits(self, rows: Rows) -> BoolArray:
        fits = np.ones(len(self._table.valid[rows]), np.bool_)
        for plugin in self._local:
            fits &= plugin.filter(self._cycle, rows)
        return fits

    def _promised(self, row: int) -> list[PodInfo]:
        """Lists the pods that the node is promised to before this one."""
        nominations = self._cache.nominations
        return nominations.before(self._table.names[row], self._priority, self._cycle.uid) if nominations else []

    # each by itself

    def _tried_alone(self, candidates: _Candidates, fits: BoolArray, evicted: BoolArray) -> BoolArray:
        """Returns which pods must go by the word of all filters, asked about one candidate after the other.

        `evicted` is what local filters alone demand. That is the answer where the others are content with it.
        """
        answer = np.zeros_like(evicted)
        for number in np.flatnonzero(fits).tolist():
            row, pods = int(candidates.rows[number]), candidates.pods[number]
            with self._cache.supposing() as world:
                for pod in self._promised(row):
                    world.add(pod)
                for pod in pods:
                    world.remove(pod)
                refusal = self._refusal(row)
                if refusal is not None:
                    self.reasons.update(refusal)
                    continue
                if evicted[number].any() and self._suffices(world, row, pods, evicted[number]):
                    answer[number] = evicted[number]
                    continue
                for index, pod in enumerate(pods):
                    world.add(pod)
                    if self._refusal(row) is not None:
                        world.remove(pod)
                        answer[number, index] = True
                self.reasons[NO_VICTIMS] += not answer[number].any()
        return answer

    def _suffices(self, world: Supposition, row: int, pods: list[PodInfo], evicted: BoolArray) -> bool:
        """Tells whether the node would do with all of the pods back but the evicted."""
        stay = [pod for pod, goes in zip(pods, evicted[: len(pods)].tolist(), strict=True) if not goes]
        for pod in stay:
            world.add(pod)
        if self._refusal(row) is None:
            return True
        for pod in stay:
            world.remove(pod)
        return False

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


def _violated(candidates: _Candidates, evicted: BoolArray) -> IntArray:
    """Counts the evictions that break a budget, by candidate."""
    at_front = np.arange(evicted.shape[1]) < candidates.violating[:, None]
    counts: IntArray = np.count_nonzero(evicted & at_front, axis=1)
    return counts


def _cheapest(candidates: _Candidates, evicted: BoolArray) -> int:
    """Compares as `Preemption.cost` does, all at once."""
    priorities = candidates.priorities
    highest: IntArray = np.where(evicted, priorities, -PRIORITY_SHIFT).max(axis=1)
    costs: tuple[IntArray, ...] = (
        _violated(candidates, evicted),
        highest,
        np.where(evicted, priorities + PRIORITY_SHIFT, 0).sum(axis=1),
        np.count_nonzero(evicted, axis=1),
    )
    left = np.arange(len(evicted))
    for cost in costs:
        left = left[cost[left] == cost[left].min()]
    first = evicted & (priorities == highest[:, None])
    starts = np.where(first, candidates.starts, np.inf).min(axis=1)
    return int(left[starts[left].argmax()])


def _padded(parts: list[NDArray[T]], lengths: IntArray) -> NDArray[T]:
    """Stacks arrays of different lengths, with zeros at their ends."""
    if not parts:
        return np.zeros((0, 0), np.int64)
    flat: NDArray[T] = np.concatenate(parts)
    stacked: NDArray[T] = np.zeros((len(parts), lengths.max(), *flat.shape[1:]), flat.dtype)
    ends = lengths.cumsum()
    columns = np.arange(len(flat)) - np.repeat(ends - lengths, lengths)
    stacked[np.repeat(np.arange(len(parts)), lengths), columns] = flat
    return stacked


class _Ports:
    """Moves host ports in and out of the table, and puts them back in the end; does nothing where they don't matter."""

    def __init__(self, table: NodeTable, matter: bool) -> None:
        self._table, self._matter = table, matter
        self._moves: list[tuple[int, PodInfo, int]] = []

    def move(self, row: int, pod: PodInfo, times: int) -> None:
        if self._matter and pod.shape.host_ports:
            self._table.use_ports(row, pod.shape, times)
            self._moves.append((row, pod, times))

    def move_all(self, row: int, pods: Iterable[PodInfo], times: int) -> None:
        if self._matter:
            for pod in pods:
                self.move(row, pod, times)

    def move_each(self, rows: IntArray, pods: Iterable[PodInfo], times: int) -> None:
        if self._matter:
            for row, pod in zip(rows.tolist(), pods, strict=True):
                self.move(row, pod, times)

    def undo(self) -> None:
        while self._moves:
            row, pod, times = self._moves.pop()
            self._table.use_ports(row, pod.shape, -times)


@contextmanager
def _ports(table: NodeTable, *, matter: bool) -> Iterator[_Ports]:
    ports = _Ports(table, matter)
    try:
        yield ports
    finally:
        ports.undo()
