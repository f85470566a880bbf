"""Makes the patch that turns the API's pod status into the kubelet's: changed fields alone. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from apimachinery.model import to_dict
from kubeapi.core.pod.status import PodCondition, PodStatus
from kubelet.pod.allocation import RESIZE_CONDITIONS
from kubelet.pod.status.compute import TERMINATION_BY_KUBELET

OWN_CONDITIONS = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    *RESIZE_CONDITIONS,
)
"""Condition types that the kubelet decides; others belong to whoever wrote them."""

_NOT_OURS = ("conditions", "nominatedNodeName", "resize", "resourceClaimStatuses", "extendedResourceClaimStatus")
_REPLACED = ("podIPs", "hostIPs")
"""Lists that would be merged element by element, though a new address replaces the old one."""


def status_patch(old: PodStatus, new: PodStatus) -> dict[str, Any] | None:
    """Returns a strategic merge patch of `status`; None when nothing has changed."""
    before, after = to_dict(old), to_dict(new)
    patch: dict[str, Any] = {}
    for field in (*before, *(name for name in after if name not in before)):
        if field in _NOT_OURS or before.get(field) == after.get(field):
            continue
        value = after.get(field)
        patch[field] = [{"$patch": "replace"}, *value] if field in _REPLACED and value else value
    conditions = _changed_conditions(old.conditions or (), new.conditions or ())
    if conditions:
        patch["conditions"] = conditions
    return patch or None


def _changed_conditions(old: Iterable[PodCondition], new: Collection[PodCondition]) -> list[dict[str, Any]]:
    """Lists them for a merge by type on the server, where a field that a condition lost must be null."""
    before_by_type = {condition.type: to_dict(condition) for condition in old}
    changed = []
    for condition in new:
        value = to_dict(condition)
        before = before_by_type.get(condition.type)
        own = condition.type in OWN_CONDITIONS or condition.reason == TERMINATION_BY_KUBELET
        if own and value != before:
            changed.append({**dict.fromkeys(before or ()), **value})
    types = {condition.type for condition in new}
    changed += [
        {"$patch": "delete", "type": type} for type in RESIZE_CONDITIONS if type in before_by_type and type not in types
    ]
    return changed
