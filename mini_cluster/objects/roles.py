"""Makes roles for daemons that only we have: the API server's default roles leave them out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mini_cluster.api import AdminApi

RBAC = "rbac.authorization.k8s.io"
ROLES, BINDINGS = f"/apis/{RBAC}/v1/clusterroles", f"/apis/{RBAC}/v1/clusterrolebindings"
READ = ("get", "list", "watch")

Dict = dict[str, Any]


def rule(groups: Sequence[str], kinds: Sequence[str], verbs: Sequence[str], names: Sequence[str] = ()) -> Dict:
    allowed = {"apiGroups": list(groups), "resources": list(kinds), "verbs": list(verbs)}
    return allowed | ({"resourceNames": list(names)} if names else {})


EVENTS = rule(["", "events.k8s.io"], ["events"], ["create", "patch", "update"])


def account(name: str) -> Dict:
    """Names a service account of kube-system as a subject."""
    return {"kind": "ServiceAccount", "name": name, "namespace": "kube-system"}


def user(name: str) -> Dict:
    return {"kind": "User", "name": name, "apiGroup": RBAC}


def grant(api: AdminApi, name: str, rules: Iterable[Mapping[str, Any]], subjects: Iterable[Mapping[str, Any]]) -> None:
    """Makes a cluster role and its binding where they are missing, the role last. Raises: ApiError."""
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
        "subjects": list(subjects),
    }
    role = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": list(rules)}
    api.create_missing(BINDINGS, binding)
    api.create_missing(ROLES, role)
