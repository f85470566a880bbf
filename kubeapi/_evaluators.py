"""What measures the objects of each kind for quotas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from kubeapi.core.resourcequota.claims import ClaimEvaluator
from kubeapi.core.resourcequota.evaluator import COUNT, Evaluator
from kubeapi.core.resourcequota.pods import PodEvaluator
from kubeapi.core.resourcequota.services import ServiceEvaluator
from kubeapi.resource.resourceclaim.quota import ResourceClaimEvaluator

Kind = tuple[str, str]
"""Group and plural."""

SPECIAL: Mapping[Kind, Evaluator] = {
    (evaluator.group, evaluator.plural): evaluator
    for evaluator in (
        PodEvaluator("", "pods"),
        ServiceEvaluator("", "services"),
        ClaimEvaluator("", "persistentvolumeclaims"),
        ResourceClaimEvaluator("resource.k8s.io", "resourceclaims"),
    )
}
"""The kinds that use more than their number."""
_FREE = frozenset({("", "bindings"), ("", "events"), ("events.k8s.io", "events")})
"""Kinds that quotas never count."""


@lru_cache(maxsize=1024)
def evaluator_of(group: str, plural: str) -> Evaluator | None:
    """Returns what measures the objects of a kind; None for a kind that quotas never count."""
    if (group, plural) in _FREE:
        return None
    return SPECIAL.get((group, plural)) or Evaluator(group, plural)


def kinds_of(names: Iterable[str]) -> set[Kind]:
    """Returns the kinds whose objects use the resources that a quota limits."""
    kinds: set[Kind] = set()
    for name in names:
        plural, _, group = name.removeprefix(COUNT).partition(".") if name.startswith(COUNT) else (name, "", "")
        candidates = ((group, plural), *SPECIAL)
        kinds |= {kind for kind in candidates if (evaluator := evaluator_of(*kind)) and evaluator.measures(name)}
    return kinds
