"""What people are given: everything, or a namespace to administrate, to edit or to view.

admin, edit and view have no rules of their own: a controller gathers those of all roles that join them, so that a new
kind brings its own.
"""

from __future__ import annotations

from apiserver.auth.authorization.defaults._role import READ, READ_WRITE, WRITE, allow, allow_paths, group, role

EXTENSIONS_SCALED = "deployments deployments/scale replicasets replicasets/scale replicationcontrollers/scale"

ROLES = (
    role("cluster-admin", allow("*", "*", "*"), allow_paths("*", "*"), subjects=(group("system:masters"),)),
    role("admin", aggregates="admin"),
    role("edit", aggregates="edit", joins="admin"),
    role("view", aggregates="view", joins="edit"),
    role(
        "system:aggregate-to-admin",
        allow("create", "localsubjectaccessreviews", "authorization.k8s.io"),
        allow(READ_WRITE, "rolebindings roles", "rbac.authorization.k8s.io"),
        joins="admin",
    ),
    role(
        "system:aggregate-to-edit",
        allow(READ, "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
        allow("impersonate", "serviceaccounts"),
        allow(WRITE, "pods pods/attach pods/exec pods/portforward pods/proxy"),
        allow("create", "pods/eviction"),
        allow(
            WRITE,
            "configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets "
            "serviceaccounts services services/proxy",
        ),
        allow("create", "serviceaccounts/token"),
        allow(WRITE, "events", "core events.k8s.io"),
        allow(
            WRITE,
            "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets "
            "statefulsets/scale",
            "apps",
        ),
        allow(WRITE, "horizontalpodautoscalers", "autoscaling"),
        allow(WRITE, "cronjobs jobs", "batch"),
        allow(WRITE, f"{EXTENSIONS_SCALED} daemonsets deployments/rollback ingresses networkpolicies", "extensions"),
        allow(WRITE, "poddisruptionbudgets", "policy"),
        allow(WRITE, "ingresses networkpolicies", "networking.k8s.io"),
        allow(READ_WRITE, "leases", "coordination.k8s.io"),
        allow(WRITE, "resourceclaims resourceclaimtemplates", "resource.k8s.io"),
        joins="edit",
    ),
    role(
        "system:aggregate-to-view",
        allow(
            READ,
            "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers "
            "replicationcontrollers/scale serviceaccounts services services/status",
        ),
        allow(
            READ,
            "bindings limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas "
            "resourcequotas/status",
        ),
        allow(READ, "namespaces"),
        allow(READ, "events", "core events.k8s.io"),
        allow(READ, "endpointslices", "discovery.k8s.io"),
        allow(
            READ,
            "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status "
            "replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status",
            "apps",
        ),
        allow(READ, "horizontalpodautoscalers horizontalpodautoscalers/status", "autoscaling"),
        allow(READ, "cronjobs cronjobs/status jobs jobs/status", "batch"),
        allow(
            READ,
            f"{EXTENSIONS_SCALED} daemonsets daemonsets/status deployments/status ingresses ingresses/status "
            "networkpolicies replicasets/status",
            "extensions",
        ),
        allow(READ, "poddisruptionbudgets poddisruptionbudgets/status", "policy"),
        allow(READ, "ingresses ingresses/status networkpolicies", "networking.k8s.io"),
        allow(READ, "resourceclaims resourceclaims/status resourceclaimtemplates", "resource.k8s.io"),
        joins="view",
    ),
)
