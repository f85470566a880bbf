"""What is sent to the API server about a pod's status."""

from __future__ import annotations

from typing import Any

from apimachinery.model import from_dict, to_dict
from apimachinery.patch.strategic import strategic_merge_patch
from kubeapi.core.pod.model import Pod
from kubeapi.core.pod.status import PodStatus
from kubelet.pod.status.patch import status_patch


def patched(old: dict[str, Any], new: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The patch, and what a server makes of it."""
    patch = status_patch(from_dict(PodStatus, old), from_dict(PodStatus, new))
    result = strategic_merge_patch({"metadata": {}, "status": old}, {"status": patch or {}}, Pod)
    return patch, to_dict(from_dict(PodStatus, result["status"]))


def condition(kind: str, status: str, **more: str) -> dict[str, Any]:
    return {"type": kind, "status": status, "lastTransitionTime": None, "lastProbeTime": None, **more}


def test_nothing_to_say() -> None:
    status = {"phase": "Running", "conditions": [condition("Ready", "True")]}
    assert patched(status, status)[0] is None


def test_only_what_changed_is_sent() -> None:
    patch, result = patched({"phase": "Pending", "hostIP": "1.1.1.1"}, {"phase": "Running", "hostIP": "1.1.1.1"})
    assert patch == {"phase": "Running"}
    assert result == {"phase": "Running", "hostIP": "1.1.1.1"}


def test_what_is_gone_is_cleared() -> None:
    assert patched({"phase": "Failed", "reason": "X"}, {"phase": "Failed"})[1] == {"phase": "Failed"}


def test_a_condition_that_turns_true_loses_its_reason() -> None:
    old = {"conditions": [condition("Ready", "False", reason="ContainersNotReady", message="m")]}
    patch, result = patched(old, {"conditions": [condition("Ready", "True")]})
    assert result == {"conditions": [condition("Ready", "True")]}
    assert patch == {"conditions": [{**condition("Ready", "True"), "reason": None, "message": None}]}


def test_conditions_of_others_are_neither_sent_nor_removed() -> None:
    gate = condition("example.com/lb", "True")
    old = {"conditions": [condition("Ready", "False"), gate]}
    new = {"conditions": [condition("Ready", "True"), condition("example.com/lb", "False")]}
    patch, result = patched(old, new)
    assert patch == {"conditions": [condition("Ready", "True")]}
    assert sorted(result["conditions"], key=str) == sorted([condition("Ready", "True"), gate], key=str)


def test_a_new_address_replaces_the_old_one() -> None:
    old = {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]}
    new = {"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}]}
    assert patched(old, new)[1] == new


def test_container_statuses_are_replaced_whole() -> None:
    def statuses(**state: Any) -> dict[str, Any]:
        return {"containerStatuses": [{"name": "app", "state": state}]}

    result = patched(statuses(waiting={"reason": "X"}), statuses(running={"startedAt": "2026-01-01T00:00:00Z"}))[1]
    assert result["containerStatuses"][0]["state"] == {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
