"""priority: the group that the user ranks highest.

The ConfigMap cluster-autoscaler-priority-expander has, under `priorities`, numbers with lists of expressions for the
names of groups; the highest number whose expressions match any wins.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from apimachinery.text.yaml import YamlError, read_document
from cluster_autoscaler.expanders._expander import Expander
from cluster_autoscaler.scaleup import Option
from componentbase import logs

log = logs.logger(__name__)


def read_priorities(text: str) -> dict[int, list[re.Pattern[str]]]:
    """Raises: ValueError for what is not a map of numbers to lists of expressions."""
    try:
        document = read_document(text.encode()).value
        if not isinstance(document, dict):
            raise ValueError("it is not a map")
        if not all(isinstance(patterns, list) for patterns in document.values()):
            raise ValueError("a priority has no list of expressions")
        return {int(number): [re.compile(item) for item in patterns] for number, patterns in document.items()}
    except (YamlError, TypeError, re.error) as error:
        raise ValueError(str(error)) from None


def _best(options: Sequence[Option], priorities: str) -> Sequence[Option]:
    if not priorities:
        return options
    try:
        ranks = read_priorities(priorities)
    except ValueError as error:
        log.warning("priorities can't be used", error=str(error))
        return options
    for rank in sorted(ranks, reverse=True):
        best = [item for item in options if any(pattern.search(item.state.name) for pattern in ranks[rank])]
        if best:
            return best
    return options


EXPANDER = Expander("priority", _best)
