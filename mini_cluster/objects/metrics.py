"""Has the API server hand the groups of metrics to the metrics server, and gives that its rights."""

from __future__ import annotations

from collections.abc import Iterator

from mini_cluster.api import AdminApi
from mini_cluster.objects.roles import RBAC, READ, ROLES, Dict, grant, rule, user

NAMESPACE, SERVICE = "kube-system", "metrics-server"
ROLE, READERS = "system:metrics-server", "system:aggregated-metrics-reader"
RULES = (
    rule([""], ["nodes/metrics", "nodes/stats"], ["get"]),
    rule([""], ["pods", "nodes"], READ),
    rule(["authentication.k8s.io"], ["tokenreviews"], ["create"]),
    rule(["authorization.k8s.io"], ["subjectaccessreviews"], ["create"]),
)
VERSIONS = (("metrics.k8s.io", "v1beta1"), ("custom.metrics.k8s.io", "v1beta2"), ("external.metrics.k8s.io", "v1beta1"))
REGISTRATION = "/apis/apiregistration.k8s.io/v1/apiservices"


def ensure_metrics(api: AdminApi, host: str, port: int) -> None:
    """Makes what is missing in a new cluster; later the objects are the user's, who may want another server.

    The last APIService is made at the end, and tells that all has been made. Raises: ApiError.
    """
    group, version = VERSIONS[-1]
    if api.exists(f"{REGISTRATION}/{version}.{group}"):
        return
    grant(api, ROLE, RULES, [user("system:metrics-server")])
    labels = {f"{RBAC}/aggregate-to-{role}": "true" for role in ("admin", "edit", "view")}
    reader = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": READERS, "labels": labels}}
    api.create_missing(ROLES, reader | {"rules": [rule(["metrics.k8s.io"], ["pods", "nodes"], READ)]})
    for path, obj in registration(host, port, api.authority):
        api.create_missing(path, obj)


def registration(host: str, port: int, authority: str) -> Iterator[tuple[str, Dict]]:
    """Yields what leads to a metrics server that is not a pod: path of the collection and object.

    `host` is a name or address that the API server reaches, `authority` the PEM bundle of its certificate, in base64.
    """
    labels = {"k8s-app": SERVICE}
    spec: Dict = {"type": "ExternalName", "externalName": host, "ports": [{"name": "https", "port": port}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "labels": labels}, "spec": spec}
    yield f"/api/v1/namespaces/{NAMESPACE}/services", service
    for group, version in VERSIONS:
        spec = {
            "service": {"namespace": NAMESPACE, "name": SERVICE, "port": port},
            "group": group,
            "version": version,
            "caBundle": authority,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
        }
        meta = {"name": f"{version}.{group}", "labels": labels}
        kind = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService"}
        yield REGISTRATION, {**kind, "metadata": meta, "spec": spec}
