"""The evaluator: measures how much one object uses of what a quota limits. Every kind that can be counted has one.

Source: Kubernetes documentation, "Resource Quotas".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apimachinery.meta import Object
from apimachinery.quantity import ResourceList
from kubeapi.core.resourcequota.model import ResourceQuota, ScopedResourceSelectorRequirement, conditions

COUNT = "count/"
_OLD_NAMES = frozenset({"configmaps", "replicationcontrollers", "resourcequotas", "secrets"})
"""Kinds that quotas also count under their plural alone, as they did before `count/` was there."""


class Evaluator:
    """Counts the objects of a kind. Kinds that use more than their number override what differs."""

    model: type[Object] | None = None
    """The objects that `usage` needs; None where their metadata is enough."""
    charged_updates: frozenset[str] = frozenset()
    """The subresources whose updates can change an object's use; "" is the object itself."""

    def __init__(self, group: str, plural: str) -> None:
        self.group, self.plural = group, plural
        self.count = f"{COUNT}{plural}.{group}" if group else f"{COUNT}{plural}"
        self._names = frozenset({self.count, plural} if not group and plural in _OLD_NAMES else {self.count})

    def measures(self, name: str) -> bool:
        """Tells whether objects of this kind can use the resource."""
        return name in self._names

    def usage(self, obj: Any, now: float) -> ResourceList:
        """Returns what the object uses at `now` (Unix seconds) of all resources, zeros included."""
        return dict.fromkeys(self._names, "1")

    def may_free(self, old: Any, new: Any) -> bool:
        """Tells whether a change may have made an object use less; `new` is None for one that is gone."""
        return new is None

    def in_scope(self, obj: Any, condition: ScopedResourceSelectorRequirement) -> bool:
        """Tells whether the object fulfils one condition of a quota. Objects that are only counted fulfil none."""
        return False

    def missing(self, obj: Any, names: Iterable[str]) -> str:
        """Says what the object has to state before a quota of these resources can count it; "" for nothing."""
        return ""

    def concerns(self, quota: ResourceQuota, obj: Any, names: Iterable[str]) -> bool:
        """Tells whether the quota, as it limits these resources, is about the object."""
        return any(map(self.measures, names)) and all(
            self.in_scope(obj, condition) for condition in conditions(quota.spec)
        )


def names_class(name: str | None, condition: ScopedResourceSelectorRequirement) -> bool:
    """Tells whether a class, None or "" for none, fulfils a condition about classes."""
    match condition.operator:
        case "Exists":
            return bool(name)
        case "DoesNotExist":
            return not name
        case "In":
            return bool(name) and name in (condition.values or ())
    return not name or name not in (condition.values or ())
