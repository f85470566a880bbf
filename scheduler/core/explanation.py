"""Says of one pod what every plugin has against each node, and how it rates those that are left.

The loop asks for no more than it needs: each node is refused once, and scores are added up. Here every plugin is asked
about every node, by the same methods.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from scheduler.core.extension_points import Framework
from scheduler.framework import SKIP, Cycle, Only, Plugin, Rejected
from scheduler.state.shape import IntArray
from scheduler.state.table import BoolArray, NodeTable


@dataclass(slots=True)
class Explanation:
    """Holds the answers of the plugins, by their names."""

    rejections: dict[str, str] = field(default_factory=dict)
    """What keeps the pod from every node."""
    refusals: dict[str, dict[str, str]] = field(default_factory=dict)
    """Node -> plugin -> why not there."""
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    """Node -> plugin -> score times weight, for the nodes that would do; the best node first."""


def explain(framework: Framework, table: NodeTable, cycle: Cycle) -> Explanation:
    """Asks for scores only where no plugin keeps the pod from every node."""
    explanation = Explanation()
    gate = framework.gate(cycle.pod)
    if gate is not None:
        explanation.rejections[gate[0]] = gate[1]
    fits = table.valid[: table.size].copy()
    for plugin in framework.filter:
        answer = framework.run_pre_filter(plugin, cycle)
        if isinstance(answer, Rejected):
            explanation.rejections[plugin.name] = answer.reason
        elif answer is not SKIP:
            fits &= _filter(explanation, table, plugin, cycle, answer)
    rows = np.flatnonzero(fits)
    if len(rows) and not explanation.rejections:
        explanation.scores = _scores(framework, table, cycle, rows)
    return explanation


def _filter(explanation: Explanation, table: NodeTable, plugin: Plugin, cycle: Cycle, limit: Only | None) -> BoolArray:
    """Notes why nodes are refused, and returns which are not."""
    passed = plugin.filter(cycle, table.everything) if plugin.filters else np.ones(table.size, np.bool_)
    reasons = {row: ", ".join(plugin.reasons(cycle, np.array([row]))) for row in np.flatnonzero(~passed)}
    if limit is not None:
        named = np.array([name in limit.nodes for name in table.names])
        reasons = dict.fromkeys(np.flatnonzero(~named), "node(s) that it does not name") | reasons
        passed = passed & named
    for row, reason in reasons.items():
        if table.valid[row]:
            explanation.refusals.setdefault(table.names[row], {})[plugin.name] = reason
    return passed


def _scores(framework: Framework, table: NodeTable, cycle: Cycle, rows: IntArray) -> dict[str, dict[str, float]]:
    scores: dict[str, dict[str, float]] = {table.names[row]: {} for row in rows}
    for plugin in framework.score:
        if not framework.run_pre_score(plugin, cycle):
            continue
        ratings = plugin.score(cycle, rows)
        if plugin.normalizes and ratings.any():
            ratings = plugin.normalize(cycle, ratings.astype(np.float64))
        for row, score in zip(rows, ratings, strict=True):
            scores[table.names[row]][plugin.name] = framework.weights[plugin.name] * float(score)
    return dict(sorted(scores.items(), key=lambda item: (-sum(item[1].values()), item[0])))
