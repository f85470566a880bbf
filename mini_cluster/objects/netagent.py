"""Gives the agents on nodes their rights."""

from __future__ import annotations

from mini_cluster.api import AdminApi
from mini_cluster.objects.roles import READ, grant, rule, user

ROLE = "mini-kubernetes:netagent"
RULES = (
    rule([""], ["namespaces", "nodes", "pods"], READ),
    rule([""], ["services"], READ),
    rule(["discovery.k8s.io"], ["endpointslices"], READ),
    rule(["networking.k8s.io"], ["networkpolicies"], READ),
)


def ensure_netagent_role(api: AdminApi) -> None:
    """Makes what is missing. Raises: ApiError."""
    grant(api, ROLE, RULES, [user("system:netagent")])
