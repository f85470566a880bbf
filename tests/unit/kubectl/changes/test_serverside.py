"""How server-side apply takes fields over from client-side apply."""

from __future__ import annotations

from typing import Any

from kubectl.changes.serverside import KEEPER, migrated
from kubectl.changes.writing import LAST_APPLIED

ANNOTATED: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{LAST_APPLIED}": {}}}}


def entry(manager: str, operation: str, fields: dict[str, Any], **more: str) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": fields, **more}


def test_fields_of_client_side_apply_become_those_of_the_applier() -> None:
    own = entry("kubectl", "Apply", {"f:data": {"f:a": {}}})
    old = entry("kubectl-client-side-apply", "Update", {**ANNOTATED, "f:data": {"f:b": {}}})
    status = entry("kubelet", "Update", {"f:status": {}}, subresource="status")
    assert migrated([own, old, status], "kubectl") == [
        entry("kubectl", "Apply", {"f:data": {"f:a": {}, "f:b": {}}, **ANNOTATED}),
        status,
    ]


def test_the_first_apply_on_the_server_inherits_the_entry_itself() -> None:
    assert migrated([entry("old", "Update", ANNOTATED)], "me") == [entry("me", "Apply", ANNOTATED)]


def test_nothing_is_taken_over_where_nobody_applied_otherwise() -> None:
    assert migrated([entry("kubectl", "Apply", {}), entry("kubectl-edit", "Update", {})], "kubectl") is None
    assert migrated([entry(KEEPER, "Apply", ANNOTATED)], "kubectl") is None
