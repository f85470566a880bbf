"""Completes a default role or binding when a server starts: adds what is missing, and takes nothing away.

Pure functions; none changes its arguments.

Source: Kubernetes documentation, "Using RBAC Authorization", "Auto-reconciliation".
"""

from __future__ import annotations

from typing import TypeVar

from apimachinery.meta import Object
from apiserver.auth.authorization.defaults._role import AUTOUPDATE
from apiserver.auth.authorization.rules import Rule, RuleIndex
from kubeapi.rbac._bindings import Binding
from kubeapi.rbac.clusterrole import AggregationRule, ClusterRole
from kubeapi.rbac.role import Role

R = TypeVar("R", bound=Role | ClusterRole)
B = TypeVar("B", bound=Binding)
T = TypeVar("T", bound=Object)


def is_protected(existing: Object) -> bool:
    """Tells whether the user has asked for the object to be left alone."""
    return (existing.metadata.annotations or {}).get(AUTOUPDATE) == "false"


def reconcile_role(existing: R, expected: R) -> R:
    """Returns the role with the rules, selectors, labels and annotations that it lacks."""
    role = _with_expected_metadata(existing, expected)
    if isinstance(expected, ClusterRole) and expected.aggregationRule is not None and isinstance(role, ClusterRole):
        role.aggregationRule = _with_expected_selectors(role.aggregationRule, expected.aggregationRule)
    else:
        rules = RuleIndex(Rule(rule) for rule in existing.rules)
        role.rules = [*role.rules, *rules.uncovered(expected.rules)]
    return role


def _with_expected_selectors(existing: AggregationRule | None, expected: AggregationRule) -> AggregationRule:
    selectors = list(existing.clusterRoleSelectors or ()) if existing is not None else []
    selectors += (selector for selector in expected.clusterRoleSelectors or () if selector not in selectors)
    return AggregationRule(clusterRoleSelectors=selectors)


def reconcile_binding(existing: B, expected: B) -> B:
    """Returns the binding with the subjects, labels and annotations that it lacks. Both have the same role."""
    binding = _with_expected_metadata(existing, expected)
    subjects = binding.subjects or []
    missing = [subject for subject in expected.subjects or () if subject not in subjects]
    binding.subjects = [*subjects, *missing] or None
    return binding


def _with_expected_metadata(existing: T, expected: T) -> T:
    """Returns a copy with the expected labels and annotations; where it has another value, that one stays."""
    obj = existing.clone()
    obj.metadata.labels = {**(expected.metadata.labels or {}), **(obj.metadata.labels or {})} or None
    obj.metadata.annotations = {**(expected.metadata.annotations or {}), **(obj.metadata.annotations or {})} or None
    return obj
