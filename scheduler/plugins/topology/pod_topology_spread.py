"""PodTopologySpread: spreads the pods of a kind evenly over nodes, zones, or whatever topology they name.

Pods that state no constraint are spread by their Service and ReplicaSet, by default as far as that is possible.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from apimachinery.selectors import Selector
from kubeapi.core.pod.scheduling.tolerations import admits
from scheduler.events import ASSIGNED_POD, NODE, WAITING_POD, Change, ClusterEvent
from scheduler.framework import MAX_SCORE, SKIP, Cycle, FloatArray, Handle, Plugin, PluginSpec, Skip
from scheduler.plugins._nodeselection import selected
from scheduler.plugins.topology._spread import (
    DO_NOT_SCHEDULE,
    HOSTNAME,
    LIST,
    SCHEDULE_ANYWAY,
    Constraint,
    PodTopologySpreadArgs,
    default_constraints,
    owner_selector,
    replica_set_of,
    stated,
)
from scheduler.state.shape import IntArray, Shape
from scheduler.state.table import BoolArray, IdArray, Rows
from scheduler.views.pod import Pod
from scheduler.views.replicaset import ReplicaSet
from scheduler.views.service import Service

SELECTORS = 1024  # shapes whose owners' selector is remembered; the longest unused is worked out anew
LACKS_LABEL = -1.0
"""The raw score of a node without one of the pod's topology keys: it comes last."""

MISMATCH = "node(s) didn't match pod topology spread constraints"
MISSING_LABEL = f"{MISMATCH} (missing required label)"


@dataclass(frozen=True, slots=True)
class _Check:
    """Holds a constraint as it stands now: `fits[value number]`, False at the end for nodes without the label."""

    ids: IdArray
    fits: BoolArray


class PodTopologySpread(Plugin):
    local = False

    def __init__(self, name: str, handle: Handle) -> None:
        super().__init__(name, handle)
        self._selectors: OrderedDict[Shape, tuple[tuple[str, str], Selector]] = OrderedDict()
        args = self.args(PodTopologySpreadArgs)
        self._defaults = {action: args.constraints(action) for action in (DO_NOT_SCHEDULE, SCHEDULE_ANYWAY)}
        self._needs_labels = args.defaultingType == LIST
        """True when nodes without a default constraint's label come last."""

    def _constraints(self, shape: Shape, action: str) -> list[Constraint]:
        if shape.spec.topologySpreadConstraints:
            return stated(shape, action)
        if not self._defaults[action]:
            return []
        selector = self._owner_selector(shape)
        return [] if selector.nothing else default_constraints(shape, selector, self._defaults[action])

    # DoNotSchedule

    def pre_filter(self, cycle: Cycle) -> Skip | None:
        constraints = self._constraints(cycle.shape, DO_NOT_SCHEDULE)
        if not constraints:
            return SKIP
        having_all = self.table.valid.copy()
        for constraint in constraints:
            having_all &= self.table.label(constraint.topology_key).ids >= 0
        cycle.state[self.name] = [self._check(cycle.shape, item, having_all) for item in constraints]
        return None

    def _check(self, shape: Shape, constraint: Constraint, having_all: BoolArray) -> _Check:
        column = self.table.label(constraint.topology_key)
        eligible = having_all & self._eligible(shape, constraint)
        sums = column.sums(self.handle.cache.count(constraint.kind), eligible)
        present = column.sums(np.ones_like(eligible, np.int64), eligible) > 0
        least = sums[present].min() if np.count_nonzero(present) >= constraint.min_domains else 0
        fits: BoolArray = sums + int(constraint.counts_itself) - least <= constraint.max_skew
        fits[-1] = False
        return _Check(column.ids, fits)

    def _eligible(self, shape: Shape, constraint: Constraint) -> BoolArray:
        """Finds the nodes that count, by the constraint's inclusion policies."""
        everything = slice(0, len(self.table.valid))
        mask = np.ones(len(self.table.valid), np.bool_)
        if constraint.honor_affinity:
            mask &= selected(shape, self.table, everything)
        if constraint.honor_taints:
            admitted = np.array([admits(shape.spec.tolerations or (), taints) for taints in self.table.taint_sets])
            mask &= admitted[self.table.taint_set]
        return mask

    def filter(self, cycle: Cycle, rows: Rows) -> BoolArray:
        mask = np.ones(len(self.table.valid[rows]), np.bool_)
        for check in cycle.state[self.name]:
            mask &= check.fits[check.ids[rows]]
        return mask

    def reasons(self, cycle: Cycle, rows: IntArray) -> Mapping[str, int]:
        """Names the first constraint that a node fails."""
        missing = mismatch = 0
        left = rows
        for check in cycle.state[self.name]:
            ids = check.ids[left]
            missing += int(np.count_nonzero(ids < 0))
            mismatch += int(np.count_nonzero((ids >= 0) & ~check.fits[ids]))
            left = left[check.fits[ids]]
        return {reason: count for reason, count in ((MISSING_LABEL, missing), (MISMATCH, mismatch)) if count}

    def curable(self, cycle: Cycle, rows: IntArray) -> BoolArray:
        """Tells which nodes have all of the labels."""
        labelled = np.ones(len(rows), np.bool_)
        for check in cycle.state[self.name]:
            labelled &= check.ids[rows] >= 0
        return labelled

    # ScheduleAnyway

    def pre_score(self, cycle: Cycle) -> Skip | None:
        cycle.state[self.name] = constraints = self._constraints(cycle.shape, SCHEDULE_ANYWAY)
        return None if constraints else SKIP

    def score(self, cycle: Cycle, rows: Rows) -> FloatArray:
        """Measures how crowded a node's domains are: the lower the better, until `normalize` turns it round."""
        constraints: list[Constraint] = cycle.state[self.name]
        total = np.zeros(len(self.table.valid[rows]))
        lacking = np.zeros(len(total), np.bool_)
        feasible = np.zeros(len(self.table.valid), np.bool_)
        feasible[rows] = True
        for constraint in constraints:
            ids = self.table.label(constraint.topology_key).ids[rows]
            lacking |= ids < 0
            crowd, domains = self._crowd(cycle.shape, constraint, ids, rows)
            total += np.where(ids >= 0, crowd * math.log(domains + 2) + constraint.max_skew - 1, 0.0)
        total = np.rint(total)
        strict = self._needs_labels or cycle.shape.spec.topologySpreadConstraints
        return np.where(lacking, LACKS_LABEL, total) if strict else total

    def _crowd(self, shape: Shape, constraint: Constraint, ids: IdArray, rows: Rows) -> tuple[IntArray, int]:
        """Returns for each row how many of the pods are in its domain, and how many domains the rows have."""
        counts = self.handle.cache.count(constraint.kind)
        if constraint.topology_key == HOSTNAME:
            return counts[rows], int(np.count_nonzero(ids >= 0))
        domains = np.unique(ids[ids >= 0])
        if not len(domains):
            return np.zeros(len(ids), np.int64), 0
        column = self.table.label(constraint.topology_key)
        sums = column.sums(counts, self.table.valid & self._eligible(shape, constraint))
        return sums[ids], len(domains)

    def normalize(self, cycle: Cycle, scores: FloatArray) -> FloatArray:
        labelled = scores != LACKS_LABEL
        if not labelled.any():
            return np.zeros_like(scores)
        least, most = scores[labelled].min(), scores[labelled].max()
        turned = np.floor(MAX_SCORE * (most + least - scores) / most) if most else np.full_like(scores, MAX_SCORE)
        return np.where(labelled, turned, 0.0)

    def _owner_selector(self, shape: Shape) -> Selector:
        """Remembers the selector until Services or the ReplicaSet may have changed."""
        lister = self.handle.lister
        owner = replica_set_of(shape, lister)
        version = (lister.version(Service), owner.metadata.uid or "" if owner else "")
        remembered = self._selectors.get(shape)
        if remembered is not None and remembered[0] == version:
            self._selectors.move_to_end(shape)
            return remembered[1]
        selector = owner_selector(shape, lister)
        self._selectors[shape] = (version, selector)
        if len(self._selectors) > SELECTORS:
            self._selectors.popitem(last=False)
        return selector

    def hint(self, shape: Shape, event: ClusterEvent) -> bool:
        """Lets another pod help only where a constraint counts it."""
        if event.resource != ASSIGNED_POD:
            return True
        shapes = [self.handle.cache.shapes.of(pod) for pod in (event.old, event.new) if isinstance(pod, Pod)]
        return any(item.kind.matches(other) for item in self._constraints(shape, DO_NOT_SCHEDULE) for other in shapes)


PLUGIN = PluginSpec(
    "PodTopologySpread",
    PodTopologySpread,
    weight=2,
    order=80,
    requeue_on={
        ASSIGNED_POD: Change.ADD | Change.DELETE | Change.LABELS,
        NODE: Change.ADD | Change.DELETE | Change.LABELS | Change.TAINTS,
        WAITING_POD: Change.LABELS | Change.SPEC,
    },
    arguments=PodTopologySpreadArgs,
    reads=(Service, ReplicaSet),
    reads_pod=(
        "metadata.labels",
        "metadata.ownerReferences",
        "spec.topologySpreadConstraints",
        "spec.nodeSelector",
        "spec.affinity",
        "spec.tolerations",
    ),
)
