"""ClusterRole aggregation: gives a role with an `aggregationRule` the rules of all roles that it selects."""

from __future__ import annotations

from collections.abc import Iterable

from apimachinery.model import encode
from apimachinery.selectors import Selector, selector_of
from kubeapi.rbac._rules import PolicyRule
from kubeapi.rbac.clusterrole import ClusterRole
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch

AGGREGATED = "aggregated"


def selectors(role: ClusterRole) -> list[Selector]:
    rule = role.aggregationRule
    return [selector_of(selector) for selector in rule.clusterRoleSelectors or ()] if rule is not None else []


def gather(role: ClusterRole, roles: Iterable[ClusterRole]) -> list[PolicyRule]:
    """Returns the rules of the selected roles, each once: by the order of the selectors, then of the roles' names."""
    others = sorted((other for other in roles if other.name != role.name), key=lambda other: other.name)
    rules: dict[bytes, PolicyRule] = {}
    for selector in selectors(role):
        for other in others:
            if selector.matches(other.labels):
                rules.update((encode(rule), rule) for rule in other.rules if encode(rule) not in rules)
    return list(rules.values())


class AggregationReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest = context.rest
        self._roles = context.informers.of(ClusterRole)
        self._roles.add_index(AGGREGATED, _is_aggregated)

    def concerned(self, old: ClusterRole | None, new: ClusterRole | None) -> set[str]:
        """Returns the role itself if it is aggregated, and the roles that selected it before or do so now."""
        states = [role for role in (old, new) if role is not None]
        names = {role.name for role in states if role.aggregationRule is not None}
        for role in self._roles.by_index(AGGREGATED, AGGREGATED):
            if any(selector.matches(state.labels) for selector in selectors(role) for state in states):
                names.add(role.name)
        return names

    async def reconcile(self, key: str) -> Result:
        role = self._roles.get(key)
        if role is None or role.aggregationRule is None or role.metadata.deletionTimestamp is not None:
            return DONE
        rules = gather(role, self._roles.list())
        if rules != role.rules:
            changed = role.clone()
            changed.rules = rules
            await self._rest.update(
                changed
            )  # not on a role that somebody has changed since: it may be aggregated no more
        return DONE


def _is_aggregated(role: ClusterRole) -> Iterable[str]:
    return (AGGREGATED,) if role.aggregationRule is not None else ()


CONTROLLER = ControllerSpec(
    "clusterrole-aggregation-controller",
    AggregationReconciler,
    watches=[Watch(ClusterRole, AggregationReconciler.concerned)],
)
