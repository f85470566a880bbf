"""Divides the server's seats among its priority levels, and lends what one does not need to others. Pure.

Source: Kubernetes documentation, "API Priority and Fairness", and upstream's enhancement proposal 1040.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """The seats of a level: its own, those it always keeps, and the most it may have."""

    nominal: int
    lower: int
    upper: int


@dataclass(frozen=True, slots=True)
class Share:
    """What a level's configuration says about its seats."""

    shares: int
    lendable_percent: int
    borrowing_percent: int | None
    """None: it may borrow without a limit."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a level asks for; it gets between `lower` and `upper`."""

    lower: float
    target: float
    upper: float


def bounds(total: int, levels: Mapping[str, Share]) -> dict[str, Bounds]:
    """Returns each level's bounds, for `total` seats of the server."""
    shares = sum(share.shares for share in levels.values())
    result = {}
    for name, share in levels.items():
        nominal = math.ceil(total * share.shares / shares) if shares else 0
        lendable = round(nominal * share.lendable_percent / 100)
        upper = total if share.borrowing_percent is None else nominal + round(nominal * share.borrowing_percent / 100)
        result[name] = Bounds(nominal, nominal - lendable, max(nominal, min(upper, max(total, nominal))))
    return result


def claim(level: Bounds, high_demand: float, smooth_demand: float) -> Claim:
    """Never takes seats from a level that needs them, up to its own number of them."""
    lower = max(level.lower, min(level.nominal, high_demand))
    return Claim(lower, max(lower, smooth_demand, 1.0), level.upper)


def divide(total: float, claims: Sequence[Claim]) -> list[int]:
    """Returns each claim's seats: as near as its bounds allow to the same fraction of its target.

    The sum is about `total`; where all lower bounds together are more, each gets its lower bound.
    """
    if not claims:
        return []
    low, high = 0.0, max(max(c.upper for c in claims), total) / min(c.target for c in claims) + 1
    for _ in range(60):
        middle = (low + high) / 2
        if sum(_given(c, middle) for c in claims) > total:
            high = middle
        else:
            low = middle
    return [round(_given(c, low)) for c in claims]


def _given(c: Claim, fraction: float) -> float:
    return min(max(c.lower, fraction * c.target), c.upper)
