"""The rights of the local cloud's daemons: what they need, and no Secrets."""

from __future__ import annotations

from typing import Any

from apimachinery.resource import resource_of
from cluster_autoscaler.simulation import Rules
from mini_cluster.api import AdminApi
from mini_cluster.objects.cloud import ensure_cloud_roles
from mini_cluster.objects.roles import ROLES
from tests.kits.control_plane.scheduler import FakeLister


class Recording(AdminApi):
    """Keeps what is created."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}

    def request(self, method: str, path: str, body: Any = None) -> Any:
        self.objects[f"{path}/{body['metadata']['name']}"] = body
        return body


def allowed(role: Any, verb: str) -> set[tuple[str, str]]:
    """(group, resource) of what all objects may be used for."""
    return {
        (group, kind)
        for rule in role["rules"]
        if verb in rule["verbs"] and not rule.get("resourceNames")
        for group in rule["apiGroups"]
        for kind in rule["resources"]
    }


def test_the_autoscaler_may_watch_what_the_scheduler_s_plugins_look_at() -> None:
    api = Recording()
    ensure_cloud_roles(api)
    role = api.objects[f"{ROLES}/system:cluster-autoscaler"]
    looked_at = {(resource_of(model).group, resource_of(model).plural) for model in Rules(FakeLister()).reads()}
    assert looked_at - allowed(role, "list") == set()
    assert looked_at - allowed(role, "watch") == set()


def test_neither_daemon_reads_secrets_or_writes_pods() -> None:
    api = Recording()
    ensure_cloud_roles(api)
    for path, role in api.objects.items():
        if path.startswith(ROLES):
            assert ("", "secrets") not in allowed(role, "get")
            for verb in ("create", "update", "delete"):
                assert ("", "pods") not in allowed(role, verb)
