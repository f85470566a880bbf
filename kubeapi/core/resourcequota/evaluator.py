"""The evaluator: measures how much one object uses of what a quota limits. Every kind that can be counted has one.

Source: Kubernetes documentation, "Resource Quotas".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apimachinery.quantity import ResourceList
from kubeapi.core.resourcequota.model import ResourceQuota, ScopedResourceSelectorRequirement, conditions

_OLD_NAMES = frozenset({"configmaps", "replicationcontrollers", "resourcequotas", "secrets"})
"""Kinds that quotas also count under their plural alone, as they did before `count/` was there."""


class Evaluator:
    """Counts the objects of a kind. Kinds that use more than their number override what differs."""

    reads_metadata_alone = True
    """Whether an object's use follows from its metadata."""
    charged_updates: frozenset[str] = frozenset()
    """The subresources whose updates can change an object's use; "" is the object itself."""

    def __init__(self, group: str, plural: str) -> None:
        self.group, self.plural = group, plural
        self.count = f"count/{plural}.{group}" if group else f"count/{plural}"
        self._names = frozenset({self.count, plural} if not group and plural in _OLD_NAMES else {self.count})

    def measures(self, name: str) -> bool:
        """Tells whether objects of this kind can use the resource."""
        return name in self._names

    def usage(self, obj: Any, now: float) -> ResourceList:
        """Returns what the object uses at `now` (Unix seconds) of all resources, zeros included."""
        return dict.fromkeys(self._names, "1")

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
