"""The evaluator of each kind."""

from __future__ import annotations

from functools import lru_cache

from kubeapi.core.resourcequota.evaluator import Evaluator
from kubeapi.core.resourcequota.pods import PodEvaluator
from kubeapi.core.resourcequota.services import ServiceEvaluator

_SPECIAL = {"pods": PodEvaluator, "services": ServiceEvaluator}
_FREE = frozenset({("", "bindings"), ("", "events"), ("events.k8s.io", "events")})
"""Kinds that quotas never count."""


@lru_cache(maxsize=1024)
def evaluator_of(group: str, plural: str) -> Evaluator | None:
    """Returns what measures the objects of a kind; None for a kind that quotas never count."""
    if (group, plural) in _FREE:
        return None
    return (_SPECIAL.get(plural, Evaluator) if not group else Evaluator)(group, plural)
