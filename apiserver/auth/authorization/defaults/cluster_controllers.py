"""The rights of the controllers that keep the cluster itself in order."""

from __future__ import annotations

from apiserver.auth.authorization.defaults._role import EVENTS, READ, allow, controller

ROLES = (
    controller(
        "certificate-controller",
        allow(f"{READ} delete", "certificatesigningrequests", "certificates.k8s.io"),
        allow("update", "certificatesigningrequests/approval certificatesigningrequests/status", "certificates.k8s.io"),
        allow("approve", "signers", "certificates.k8s.io", names="kubernetes.io/kube-apiserver-client-kubelet"),
        allow(
            "sign",
            "signers",
            "certificates.k8s.io",
            names="kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet "
            "kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown",
        ),
        allow("create", "subjectaccessreviews", "authorization.k8s.io"),
        EVENTS,
    ),
    controller(
        "clusterrole-aggregation-controller",
        allow(f"{READ} update patch escalate", "clusterroles", "rbac.authorization.k8s.io"),
    ),
    controller(
        "generic-garbage-collector",
        allow(f"{READ} update patch delete", "*", "*"),
        EVENTS,
    ),
    controller(
        "legacy-service-account-token-cleaner",
        allow("get", "configmaps", names="kube-apiserver-legacy-service-account-token-tracking"),
        allow("patch delete", "secrets"),
    ),
    controller(
        "namespace-controller",
        allow(f"{READ} delete", "namespaces"),
        allow("update", "namespaces/finalize namespaces/status"),
        allow(f"{READ} delete deletecollection", "*", "*"),
    ),
    controller(
        "node-controller",
        allow(f"{READ} update patch delete", "nodes"),
        allow("update patch", "nodes/status"),
        allow("update patch", "pods/status"),
        allow(f"{READ} delete", "pods"),
        EVENTS,
    ),
    controller(
        "resourcequota-controller",
        allow("list watch", "*", "*"),
        allow("update", "resourcequotas/status"),
        EVENTS,
    ),
    controller(
        "root-ca-cert-publisher",
        allow("create update", "configmaps"),
        EVENTS,
    ),
    controller(
        "service-account-controller",
        allow("create", "serviceaccounts"),
        EVENTS,
    ),
    controller(
        "ttl-controller",
        allow("list watch update patch", "nodes"),
        EVENTS,
    ),
    controller(
        "validatingadmissionpolicy-status-controller",
        allow(READ, "validatingadmissionpolicies", "admissionregistration.k8s.io"),
        allow("get update patch", "validatingadmissionpolicies/status", "admissionregistration.k8s.io"),
        EVENTS,
    ),
)
