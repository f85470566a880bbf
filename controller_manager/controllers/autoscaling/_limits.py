"""Limits a proposed number of replicas: by recent proposals, by the speed of scaling, by minimum and maximum. Pure but
for the memory of recent decisions.

Source: Kubernetes documentation, "Horizontal Pod Autoscaling", "Configurable scaling behavior".
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from kubeapi.autoscaling.horizontalpodautoscaler.model import (
    DISABLED,
    MIN_CHANGE,
    PODS_POLICY,
    HorizontalPodAutoscalerBehavior,
    HPAScalingPolicy,
    HPAScalingRules,
)

UP_FACTOR, UP_LEAST = 2, 4  # without rules of its own, a workload doubles at most, or grows to four

Timed = list[tuple[float, int]]
"""(monotonic seconds, replicas)"""


@dataclass
class History:
    """The proposals and changes of one autoscaler that still matter: at most as many as syncs in an hour."""

    proposals: Timed = field(default_factory=list)
    added: Timed = field(default_factory=list)
    removed: Timed = field(default_factory=list)

    def note_change(self, old: int, new: int, behavior: HorizontalPodAutoscalerBehavior | None, now: float) -> None:
        """Remembers a change for as long as a policy counts it."""
        if behavior is None:
            return
        for changes, rules in ((self.added, behavior.scaleUp), (self.removed, behavior.scaleDown)):
            longest = max((policy.periodSeconds for policy in _policies(rules)), default=0)
            changes[:] = [(time, count) for time, count in changes if time > now - longest]
        (self.added if new > old else self.removed).append((now, abs(new - old)))


@dataclass(frozen=True)
class Limited:
    """The number of replicas to have, and what two conditions say about it: reason and message."""

    replicas: int
    able: tuple[str, str]
    limited: bool
    limit: tuple[str, str]


@dataclass(frozen=True)
class Bounds:
    least: int
    most: int


READY = ("ReadyForNewScale", "recommended size matches current size")
UP_STABILIZED = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
DOWN_STABILIZED = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
WITHIN = ("DesiredWithinRange", "the desired count is within the acceptable range")
TOO_FAST_UP = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
TOO_FAST_DOWN = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")


def limit(
    proposed: int,
    current: int,
    bounds: Bounds,
    behavior: HorizontalPodAutoscalerBehavior | None,
    history: History,
    now: float,
    down_window_seconds: float,
) -> Limited:
    """Notes the proposal in the history. `down_window_seconds` is for autoscalers that name none of their own."""
    up, down = (behavior.scaleUp, behavior.scaleDown) if behavior is not None else (None, None)
    up_window = (up.stabilizationWindowSeconds or 0) if up is not None else 0
    own_window = down.stabilizationWindowSeconds if down is not None else None
    down_window = down_window_seconds if own_window is None else own_window
    floor, ceiling = _recent(history, proposed, now, up_window, down_window)
    stable = min(max(current, floor), ceiling) if behavior is not None else ceiling
    able = READY
    if stable != proposed:
        able = UP_STABILIZED if proposed >= current and up is not None else DOWN_STABILIZED
    if up is None or down is None:
        fastest = max(UP_FACTOR * current, UP_LEAST)
        replicas, why = _clamped(stable, bounds, bounds.least, min(fastest, bounds.most), fastest)
    elif stable > current:
        fastest = max(_fastest_up(up, current, history, now), current)
        replicas, why = _clamped(stable, bounds, stable, min(fastest, bounds.most), fastest)
    elif stable < current:
        slowest = min(_fastest_down(down, current, history, now), current)
        replicas, why = _clamped(stable, bounds, max(slowest, bounds.least), stable, stable)
    else:
        replicas, why = stable, WITHIN
    return Limited(replicas, able, replicas != stable, why)


def _clamped(wanted: int, bounds: Bounds, low: int, high: int, fastest: int) -> tuple[int, tuple[str, str]]:
    if wanted < low:
        return low, TOO_FAST_DOWN if low > bounds.least else TOO_FEW
    if wanted > high:
        return high, TOO_FAST_UP if bounds.most > fastest else TOO_MANY
    return wanted, WITHIN


def _recent(history: History, proposed: int, now: float, up_window: float, down_window: float) -> tuple[int, int]:
    """Notes the proposal. Returns the least proposal of one window and the largest of the other."""
    floor = min((count for time, count in history.proposals if time > now - up_window), default=proposed)
    ceiling = max((count for time, count in history.proposals if time > now - down_window), default=proposed)
    oldest = now - max(up_window, down_window)
    history.proposals[:] = [(time, count) for time, count in history.proposals if time > oldest]
    history.proposals.append((now, proposed))
    return min(floor, proposed), max(ceiling, proposed)


def _fastest_up(rules: HPAScalingRules, current: int, history: History, now: float) -> int:
    if rules.selectPolicy == DISABLED:
        return current
    choose = min if rules.selectPolicy == MIN_CHANGE else max
    return choose(
        start + policy.value if policy.type == PODS_POLICY else _percent_up(start, policy.value)
        for policy, start in _starts(rules, current, history, now)
    )


def _fastest_down(rules: HPAScalingRules, current: int, history: History, now: float) -> int:
    if rules.selectPolicy == DISABLED:
        return current
    choose = max if rules.selectPolicy == MIN_CHANGE else min
    return choose(
        start - policy.value if policy.type == PODS_POLICY else start * (100 - policy.value) // 100
        for policy, start in _starts(rules, current, history, now)
    )


def _percent_up(start: int, percent: int) -> int:
    return math.ceil(start * (100 + percent) / 100)  # rounded up, or a small workload would never grow


def _starts(
    rules: HPAScalingRules, current: int, history: History, now: float
) -> Iterable[tuple[HPAScalingPolicy, int]]:
    """Yields each policy with the number of replicas at the beginning of its period."""
    for policy in _policies(rules):
        since = now - policy.periodSeconds
        added, removed = (
            sum(count for time, count in changes if time > since) for changes in (history.added, history.removed)
        )
        yield policy, current - added + removed


def _policies(rules: HPAScalingRules | None) -> list[HPAScalingPolicy]:
    return (rules.policies or []) if rules is not None else []
