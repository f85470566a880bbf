"""Rates nodes by how much of their resources would be used: the scoring strategies of NodeResourcesFit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from apimachinery.errors import FieldError, invalid, not_supported, required
from apimachinery.model import Model
from scheduler.framework import MAX_SCORE
from scheduler.plugins.resources._usage import ResourceSpec, Usage, resource_errors
from scheduler.state.shape import IntArray

LEAST, MOST, RATIO = "LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"
MAX_SHAPE_SCORE = 10

Strategy = Callable[[Usage], IntArray]
"""Returns a score for each node, 0 to MAX_SCORE."""


class UtilizationShapePoint(Model):
    """A corner of the line that turns utilization into a score."""

    utilization: int = 0
    """In percent, 0 to 100."""
    score: int = 0
    """0 to 10."""


class RequestedToCapacityRatioParam(Model):
    """Turns utilization into a score."""

    shape: list[UtilizationShapePoint] | None = None
    """Corners by ascending utilization; a straight line leads from each to the next."""


class ScoringStrategy(Model):
    """Compares nodes by their resources."""

    type: str = LEAST
    """LeastAllocated, MostAllocated or RequestedToCapacityRatio."""
    resources: list[ResourceSpec] | None = None
    """What they are compared by. Default: cpu and memory alike."""
    requestedToCapacityRatio: RequestedToCapacityRatioParam | None = None
    """For the strategy of that name."""

    def errors(self, path: str) -> list[FieldError]:
        errors = resource_errors(self.resources, f"{path}.resources")
        if self.type not in (LEAST, MOST, RATIO):
            errors.append(not_supported(f"{path}.type", self.type, [LEAST, MOST, RATIO]))
        param = self.requestedToCapacityRatio
        if self.type == RATIO:
            errors += _shape_errors(param.shape if param else None, f"{path}.requestedToCapacityRatio.shape")
        return errors


def _shape_errors(shape: list[UtilizationShapePoint] | None, path: str) -> list[FieldError]:
    if not shape:
        return [required(path, "at least one point must be specified")]
    errors: list[FieldError] = []
    before = -1
    for index, point in enumerate(shape):
        where = f"{path}[{index}]"
        if not 0 <= point.utilization <= 100:
            errors.append(invalid(f"{where}.utilization", point.utilization, "not in valid range [0-100]"))
        elif point.utilization <= before:
            errors.append(
                invalid(f"{where}.utilization", point.utilization, "values must be sorted in increasing order")
            )
        before = point.utilization
        if not 0 <= point.score <= MAX_SHAPE_SCORE:
            errors.append(invalid(f"{where}.score", point.score, f"not in valid range [0-{MAX_SHAPE_SCORE}]"))
    return errors


def strategy_of(scoring: ScoringStrategy) -> Strategy:
    if scoring.type == RATIO and scoring.requestedToCapacityRatio is not None:
        return _Ratio(scoring.requestedToCapacityRatio.shape or [])
    return _most if scoring.type == MOST else _least


def _least(usage: Usage) -> IntArray:
    """Averages the shares that stay free."""
    return _mean(usage, np.maximum(usage.capacity - usage.used, 0))


def _most(usage: Usage) -> IntArray:
    """Averages the shares that are taken."""
    return _mean(usage, np.minimum(usage.used, usage.capacity))


def _mean(usage: Usage, counted: IntArray) -> IntArray:
    share = counted * MAX_SCORE // np.maximum(usage.capacity, 1) * usage.weights
    present = np.minimum(usage.capacity, 1) * usage.weights
    mean: IntArray = np.add.reduce(share) // np.maximum(np.add.reduce(present), 1)
    return mean


class _Ratio:
    """Averages what the shape makes of the shares that are taken; a resource that scores nothing is left out."""

    def __init__(self, shape: list[UtilizationShapePoint]) -> None:
        percent = np.arange(101)
        at = np.array([point.utilization for point in shape], np.int64)
        scores = np.array([point.score for point in shape], np.int64) * (MAX_SCORE // MAX_SHAPE_SCORE)
        end = np.searchsorted(at, percent).clip(1, max(len(at) - 1, 1))
        if len(at) == 1:
            self._scores = np.full(101, scores[0])
            return
        rise, run = scores[end] - scores[end - 1], at[end] - at[end - 1]
        way = percent.clip(at[0], at[-1]) - at[end - 1]
        self._scores = scores[end - 1] + np.trunc(rise * way / run).astype(np.int64)

    def __call__(self, usage: Usage) -> IntArray:
        within = (usage.capacity > 0) & (usage.used <= usage.capacity)
        percent = np.where(within, usage.used * 100 // np.maximum(usage.capacity, 1), 100)
        scores = self._scores[percent]
        weights = np.where((scores > 0) & (usage.capacity > 0), usage.weights, 0)
        mean = (scores * weights).sum(axis=0) / np.maximum(weights.sum(axis=0), 1)
        rounded: IntArray = np.floor(mean + 0.5).astype(np.int64)
        return rounded
