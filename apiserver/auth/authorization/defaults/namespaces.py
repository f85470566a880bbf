"""Roles within the system namespaces."""

from __future__ import annotations

from apiserver.auth.authorization.defaults._role import EVENTS, READ, account, allow, namespaced_role, user

ROLES = (
    namespaced_role(
        "kube-public",
        "system:controller:bootstrap-signer",
        allow(READ, "configmaps"),
        allow("update", "configmaps", names="cluster-info"),
        EVENTS,
        subjects=(account("bootstrap-signer"),),
    ),
    namespaced_role(
        "kube-system",
        "extension-apiserver-authentication-reader",
        allow(READ, "configmaps", names="extension-apiserver-authentication"),
        subjects=(user("system:kube-controller-manager"), user("system:kube-scheduler")),
        binding="system::extension-apiserver-authentication-reader",
    ),
    namespaced_role(
        "kube-system",
        "system::leader-locking-kube-controller-manager",
        allow(f"{READ} create update", "leases", "coordination.k8s.io"),
        allow(f"{READ} create update", "leasecandidates", "coordination.k8s.io"),
        subjects=(
            user("system:kube-controller-manager"),
            account("kube-controller-manager"),
            account("leader-election-controller"),
        ),
    ),
    namespaced_role(
        "kube-system",
        "system::leader-locking-kube-scheduler",
        allow(f"{READ} create update", "leases", "coordination.k8s.io"),
        allow(f"{READ} create update", "leasecandidates", "coordination.k8s.io"),
        subjects=(user("system:kube-scheduler"), account("kube-scheduler")),
    ),
    namespaced_role(
        "kube-system",
        "system:controller:bootstrap-signer",
        allow(READ, "secrets"),
        subjects=(account("bootstrap-signer"),),
    ),
    namespaced_role(
        "kube-system",
        "system:controller:cloud-provider",
        allow(f"{READ} create", "configmaps"),
        subjects=(account("cloud-provider"),),
    ),
    namespaced_role(
        "kube-system",
        "system:controller:token-cleaner",
        allow(f"{READ} delete", "secrets"),
        EVENTS,
        subjects=(account("token-cleaner"),),
    ),
)
