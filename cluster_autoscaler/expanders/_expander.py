"""Defines expanders, which say what the best of several ways to help are."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from apimachinery.catalogue import collect
from cluster_autoscaler.scaleup import Option


@dataclass(frozen=True, slots=True)
class Expander:
    """Declares an expander as `EXPANDER` in its file.

    `best(options, priorities)` returns those that it holds for equally good; `priorities` is what the ConfigMap
    cluster-autoscaler-priority-expander says, "" where there is none.
    """

    name: str
    best: Callable[[Sequence[Option], str], Sequence[Option]]


def expanders() -> Mapping[str, Expander]:
    """Returns every expander that has a file. Raises: CatalogueError."""
    specs = collect("cluster_autoscaler.expanders", "EXPANDER", Expander).values()
    return {spec.name: spec for spec in specs}


def choose(options: Sequence[Option], chain: Sequence[Expander], priorities: str = "") -> Option:
    """Asks one expander after the other, each about what the ones before left; then chance decides."""
    for expander in chain:
        options = expander.best(options, priorities) or options
    return random.choice(options)
