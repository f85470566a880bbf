"""Chooses a node for one pod: filters, scores, and the reasons when nothing fits.

What local plugins say about a shape is kept (`_Verdict`) and corrected only for rows that changed since: the second of
a hundred equal pods costs a look at one or two nodes instead of all.
"""

from __future__ import annotations

import random
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from scheduler.core.extension_points import Framework
from scheduler.framework import SKIP, Cycle, FloatArray, Only, Plugin, Rejected, ShapeCycle, Unfit
from scheduler.state.cache import SchedulerCache
from scheduler.state.resources import PODS
from scheduler.state.shape import IntArray, Shape
from scheduler.state.table import BoolArray, Rows

VERDICTS = 64  # shapes whose masks and scores are kept, some 30 bytes a node each; the longest unused is dropped
FEWEST_NODES = 100  # compared however low the percentage is, as upstream's
NODES_AT_ONCE = 500  # that filters are asked about which look at nodes one by one
PROMISED = "node(s) were promised to other pods"
NO_NODES = "no nodes available to schedule pods"


@dataclass(frozen=True, slots=True)
class Choice:
    node: str
    rows: IntArray
    """The nodes that were compared, all of which would have done."""

    @property
    def feasible(self) -> int:
        return len(self.rows)


@dataclass(slots=True)
class _Limits:
    """Names the nodes that PreFilter narrows the choice to, and the plugins that said so."""

    nodes: frozenset[str] | None = None
    plugins: list[str] = field(default_factory=list)

    def add(self, plugin: Plugin, nodes: frozenset[str]) -> None:
        self.nodes = nodes if self.nodes is None else self.nodes & nodes
        self.plugins.append(plugin.name)


@dataclass(slots=True)
class _Verdict:
    """Keeps what the local plugins say of every row, for pods of one shape."""

    layout: int
    cycle: Cycle
    """Its `state` serves all pods of the shape."""
    revision: int = -1
    limits: _Limits = field(default_factory=_Limits)
    filters: list[Plugin] = field(default_factory=list)
    scorers: list[Plugin] = field(default_factory=list)
    mask: BoolArray = field(default_factory=lambda: np.zeros(0, np.bool_))
    base: FloatArray = field(default_factory=lambda: np.zeros(0))
    """Weighted sum of the scores that need no normalizing."""
    raw: dict[str, FloatArray] = field(default_factory=dict)
    """Plugin -> its scores before normalizing."""


class Placement:
    def __init__(
        self, framework: Framework, cache: SchedulerCache, rng: random.Random | None = None, *, percentage: int = 0
    ) -> None:
        """`percentage` is the share of nodes that is enough to choose from; 0 for all."""
        self._framework, self._cache, self._table = framework, cache, cache.table
        self._random = rng or random.Random()
        self._percentage, self._next_row = percentage or 100, 0
        self._verdicts: OrderedDict[Shape, _Verdict] = OrderedDict()

    def choose(self, cycle: Cycle) -> Choice | Unfit:
        """Returns the node that the pod is promised if it fits, else the best one, one of the best at random.

        Or why there is none.
        """
        if not self._table.count:
            return Unfit(NO_NODES, frozenset())
        verdict = self._verdict(cycle)
        if isinstance(verdict, Unfit):
            return verdict
        cycle.state |= verdict.cycle.state
        limits = _Limits(verdict.limits.nodes, list(verdict.limits.plugins))
        filters = self._prepare(cycle, limits, local=False)
        if isinstance(filters, Unfit):
            return filters
        mask = (
            verdict.mask & self._allowed(limits) if len(limits.plugins) > len(verdict.limits.plugins) else verdict.mask
        )
        for plugin in filters:
            if not plugin.by_node:
                mask = mask & plugin.filter(cycle, self._table.everything)
        by_node = [plugin for plugin in filters if plugin.by_node]
        if by_node:
            mask = self._ask_by_node(cycle, mask, by_node)
        if self._cache.nominations:
            mask = self._without_promised(cycle, mask, [*verdict.filters, *filters])
            promised = self._table.rows.get(self._cache.nominations.node_of(cycle.uid))
            if promised is not None and mask[promised]:
                return Choice(self._table.names[promised], np.array((promised,), np.int64))
        rows = mask.nonzero()[0]
        if not len(rows):
            cycle.filters = [plugin for plugin in self._framework.filter if plugin in (*verdict.filters, *filters)]
            return self._explain(cycle, limits)
        rows = self._sample(rows)
        return Choice(self._table.names[self._best(cycle, verdict, rows)], rows)

    def _ask_by_node(self, cycle: Cycle, mask: BoolArray, filters: list[Plugin]) -> BoolArray:
        """Asks about the nodes part by part, until enough of them would do; the promised one is in the first part."""
        rows = np.flatnonzero(mask)
        rows = np.roll(rows, -int(np.searchsorted(rows, self._next_row)))
        promised = self._table.rows.get(self._cache.nominations.node_of(cycle.uid))
        if promised is not None and mask[promised]:
            rows = np.concatenate(([promised], rows[rows != promised]))
        fit: BoolArray = np.zeros_like(mask)
        for start in range(0, len(rows), NODES_AT_ONCE):
            part = rows[start : start + NODES_AT_ONCE]
            self._next_row = int(part[-1]) + 1
            for plugin in filters:
                part = part[plugin.filter(cycle, part)]
            fit[part] = True
            if np.count_nonzero(fit) >= FEWEST_NODES:
                break
        return fit

    def _sample(self, rows: IntArray) -> IntArray:
        """Takes as many of the rows as are to be compared, going on each time where the last pod's ended."""
        enough = max(self._table.count * self._percentage // 100, FEWEST_NODES)
        if len(rows) <= enough:
            return rows
        start = int(np.searchsorted(rows, self._next_row))
        sample = np.roll(rows, -start)[:enough]
        self._next_row = int(sample[-1]) + 1
        return sample

    # filters

    def _verdict(self, cycle: Cycle) -> _Verdict | Unfit:
        """Brings the shape's verdict up to date, or makes one; Unfit when a local PreFilter refuses the shape."""
        verdict = self._verdicts.get(cycle.shape)
        if verdict is not None and verdict.layout == self._table.layout:
            self._verdicts.move_to_end(cycle.shape)
            changed = self._table.changed_since(verdict.revision)
            if len(changed):
                self._update(verdict, self._rows(changed))
            return verdict
        own = ShapeCycle(cycle.shape)
        verdict = _Verdict(self._table.layout, own)
        filters = self._prepare(own, verdict.limits, local=True)
        if isinstance(filters, Unfit):
            return filters
        verdict.filters = filters
        framework = self._framework
        verdict.scorers = [item for item in framework.score if item.local and framework.run_pre_score(item, own)]
        size = self._table.size
        verdict.mask, verdict.base = np.zeros(size, np.bool_), np.zeros(size)
        verdict.raw = {plugin.name: np.zeros(size) for plugin in verdict.scorers if plugin.normalizes}
        self._update(verdict, self._table.everything)
        self._verdicts[cycle.shape] = verdict
        if len(self._verdicts) > VERDICTS:
            self._verdicts.popitem(last=False)
        return verdict

    def _rows(self, changed: IntArray) -> Rows:
        """Says which rows in the quickest way: slices are views, arrays of row numbers copy."""
        if len(changed) == 1:
            row = int(changed[0])
            return slice(row, row + 1)
        return changed if 4 * len(changed) < self._table.size else self._table.everything

    def _update(self, verdict: _Verdict, rows: Rows) -> None:
        mask = self._table.valid[rows].copy()
        if verdict.limits.plugins:
            mask &= self._allowed(verdict.limits)[rows]
        for plugin in verdict.filters:
            mask &= plugin.filter(verdict.cycle, rows)
        verdict.mask[rows] = mask
        base = np.zeros(len(mask))
        for plugin in verdict.scorers:
            scores = plugin.score(verdict.cycle, rows)
            if plugin.normalizes:
                verdict.raw[plugin.name][rows] = scores
            else:
                base += self._framework.weights[plugin.name] * scores
        verdict.base[rows] = base
        verdict.revision = self._table.revision

    def _prepare(self, cycle: Cycle, limits: _Limits, *, local: bool) -> list[Plugin] | Unfit:
        """Runs PreFilter of the local plugins or of the others, and returns those whose Filter has a say."""
        active = []
        for plugin in self._framework.filter:
            if plugin.local is not local:
                continue
            answer = self._framework.run_pre_filter(plugin, cycle)
            if isinstance(answer, Rejected):
                return Unfit(f"{self._heading()} {answer.reason}.", frozenset((plugin.name,)))
            if isinstance(answer, Only):
                limits.add(plugin, answer.nodes)
            if answer is not SKIP and plugin.filters:
                active.append(plugin)
        return active

    def _allowed(self, limits: _Limits) -> BoolArray:
        mask = np.zeros(self._table.size, np.bool_)
        mask[[row for name in limits.nodes or () if (row := self._table.rows.get(name)) is not None]] = True
        return mask

    # promises

    def _without_promised(self, cycle: Cycle, mask: BoolArray, filters: list[Plugin]) -> BoolArray:
        """Returns `mask` without the rows that would not do if the pods to which a node is promised were there."""
        refusals = _Refusals(mask.copy())
        self._ask_with_promises(cycle, filters, refusals)
        return refusals.left

    def _ask_with_promises(self, cycle: Cycle, filters: list[Plugin], refusals: _Refusals) -> None:
        """Supposes that the pods which this one has to leave room for are there, and asks the filters then."""
        nominations, table = self._cache.nominations, self._table
        promised = nominations.promised(cycle.pod.spec.priority or 0, cycle.uid)
        rows = np.flatnonzero(refusals.left & (promised[table.resources[PODS], : table.size] > 0))
        if not len(rows):
            return
        with table.trial() as free:
            free[:, rows] -= promised[:, rows]
            refusals.ask(cycle, [plugin for plugin in filters if plugin.local and plugin.counts_pods], rows)
        rows = rows[refusals.left[rows]]
        if len(rows) and not (nominations.amounts_suffice and _amounts_suffice(cycle, filters)):
            self._ask_with_pods(cycle, filters, refusals, rows)

    def _ask_with_pods(self, cycle: Cycle, filters: list[Plugin], refusals: _Refusals, rows: IntArray) -> None:
        """Does the same for filters that look at more than amounts."""
        with self._cache.supposing() as world:
            for row in rows.tolist():
                for pod in self._cache.nominations.before(
                    self._table.names[row], cycle.pod.spec.priority or 0, cycle.uid
                ):
                    world.add(pod)
            probe = Cycle(cycle.pod, cycle.shape)
            probe.state = dict(cycle.state)
            crossing = self._prepare(probe, _Limits(), local=False)
            if isinstance(crossing, Unfit):
                refusals.left[rows] = False
                refusals.note(crossing.plugins, {PROMISED: len(rows)})
            else:
                refusals.ask(probe, [*(plugin for plugin in filters if plugin.local), *crossing], rows)

    # scores

    def _best(self, cycle: Cycle, verdict: _Verdict, rows: IntArray) -> int:
        if len(rows) == 1:
            return int(rows[0])
        total = verdict.base[rows]
        for plugin in verdict.scorers:
            if plugin.normalizes:
                self._add(total, plugin, cycle, verdict.raw[plugin.name][rows])
        for plugin in self._framework.score:
            if not plugin.local and self._framework.run_pre_score(plugin, cycle):
                self._add(total, plugin, cycle, plugin.score(cycle, rows))
        best = (total == total.max()).nonzero()[0]
        return int(rows[best[0] if len(best) == 1 else best[self._random.randrange(len(best))]])

    def _add(self, total: FloatArray, plugin: Plugin, cycle: Cycle, scores: IntArray | FloatArray) -> None:
        if plugin.normalizes:
            if not scores.any():
                return
            scores = plugin.normalize(cycle, scores.astype(np.float64))
        total += self._framework.weights[plugin.name] * scores

    # reasons

    def _explain(self, cycle: Cycle, limits: _Limits) -> Unfit:
        """Asks the filters one after the other what they have against the nodes that the ones before let pass."""
        refusals = _Refusals(self._table.valid[: self._table.size].copy())
        if limits.plugins:
            allowed = self._allowed(limits)
            refused = int(np.count_nonzero(refusals.left & ~allowed))
            if refused:
                reason = f"node(s) didn't satisfy plugin(s) [{' '.join(sorted(limits.plugins))}]"
                refusals.note(limits.plugins, {reason: refused})
            refusals.left &= allowed
        refusals.ask(cycle, cycle.filters, self._table.everything)
        if refusals.left.any():
            self._ask_with_promises(cycle, cycle.filters, refusals)
        counted = ", ".join(sorted(f"{count} {reason}" for reason, count in refusals.reasons.items()))
        return Unfit(f"{self._heading()} {counted}.", frozenset(refusals.plugins), np.flatnonzero(refusals.curable))

    def _heading(self) -> str:
        return f"0/{self._table.count} nodes are available:"


def _amounts_suffice(cycle: Cycle, filters: Iterable[Plugin]) -> bool:
    """Tells whether the filters look at nothing of other pods but the amounts that they ask for."""
    return not cycle.shape.host_ports and all(plugin.local or not plugin.counts_pods for plugin in filters)


class _Refusals:
    """Collects what filters have against rows; each row counts with the first that refuses it."""

    def __init__(self, left: BoolArray) -> None:
        self.left = left
        """The rows that nobody has refused."""
        self.curable: BoolArray = np.zeros_like(left)
        self.reasons: Counter[str] = Counter()
        self.plugins: set[str] = set()

    def note(self, plugins: Iterable[str], reasons: Mapping[str, int]) -> None:
        self.plugins.update(plugins)
        self.reasons.update(reasons)

    def ask(self, cycle: Cycle, filters: Iterable[Plugin], rows: Rows) -> None:
        for plugin in filters:
            asked: BoolArray = np.zeros_like(self.left)
            asked[rows] = ~plugin.filter(cycle, rows)
            refused = np.flatnonzero(self.left & asked)
            if len(refused):
                self.note((plugin.name,), plugin.reasons(cycle, refused))
                self.curable[refused] = plugin.curable(cycle, refused)
                self.left[refused] = False
