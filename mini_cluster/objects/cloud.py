"""Gives the daemons of the local cloud their rights."""

from __future__ import annotations

from mini_cluster.api import AdminApi
from mini_cluster.cluster.cloud import CLOUD_CONTROLLER_MANAGER, CLUSTER_AUTOSCALER
from mini_cluster.objects.roles import EVENTS, READ, Dict, grant, rule, user

ACCOUNTS = ("node-controller", "route-controller", "service-controller")
"""Speak for the controllers of cloud-controller-manager; the API server has roles for them."""
STATUS, PRIORITIES = "cluster-autoscaler-status", "cluster-autoscaler-priority-expander"


def ensure_cloud_roles(api: AdminApi) -> None:
    """Makes what is missing. Raises: ApiError."""
    manager = [
        rule([""], ["nodes", "services"], READ),
        rule([""], ["serviceaccounts"], ["create"]),
        rule([""], ["serviceaccounts/token"], ["create"], ACCOUNTS),
        *_lease(CLOUD_CONTROLLER_MANAGER),
    ]
    grant(api, f"system:{CLOUD_CONTROLLER_MANAGER}", manager, [user(f"system:{CLOUD_CONTROLLER_MANAGER}")])
    looked_at = {
        "": ["namespaces", "nodes", "persistentvolumeclaims", "persistentvolumes", "pods", "replicationcontrollers",
             "services"],
        "apps": ["replicasets"],
        "policy": ["poddisruptionbudgets"],
        "resource.k8s.io": ["deviceclasses", "resourceclaims", "resourceslices"],
        "storage.k8s.io": ["csidrivers", "csinodes", "csistoragecapacities", "storageclasses", "volumeattachments"],
    }  # fmt: skip
    autoscaler = [
        *(rule([group], kinds, READ) for group, kinds in looked_at.items()),
        rule([""], ["nodes"], ["update"]),
        rule([""], ["pods/eviction"], ["create"]),
        rule([""], ["configmaps"], ["create"]),
        rule([""], ["configmaps"], ["get", "update"], [STATUS]),
        rule([""], ["configmaps"], ["get"], [PRIORITIES]),
        EVENTS,
        *_lease(CLUSTER_AUTOSCALER),
    ]
    grant(api, f"system:{CLUSTER_AUTOSCALER}", autoscaler, [user(f"system:{CLUSTER_AUTOSCALER}")])


def _lease(name: str) -> list[Dict]:
    group, kind = "coordination.k8s.io", "leases"
    return [rule([group], [kind], ["create"]), rule([group], [kind], ["get", "update"], [name])]
