"""The rights to ask for certificates, and to approve and sign them."""

from __future__ import annotations

from apiserver.auth.authorization.defaults._role import READ, allow, role

ROLES = (
    role(
        "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
        allow("create", "certificatesigningrequests/nodeclient", "certificates.k8s.io"),
    ),
    role(
        "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
        allow("create", "certificatesigningrequests/selfnodeclient", "certificates.k8s.io"),
    ),
    role(
        "system:certificates.k8s.io:kube-apiserver-client-approver",
        allow("approve", "signers", "certificates.k8s.io", names="kubernetes.io/kube-apiserver-client"),
    ),
    role(
        "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver",
        allow("approve", "signers", "certificates.k8s.io", names="kubernetes.io/kube-apiserver-client-kubelet"),
    ),
    role(
        "system:certificates.k8s.io:kubelet-serving-approver",
        allow("approve", "signers", "certificates.k8s.io", names="kubernetes.io/kubelet-serving"),
    ),
    role(
        "system:certificates.k8s.io:legacy-unknown-approver",
        allow("approve", "signers", "certificates.k8s.io", names="kubernetes.io/legacy-unknown"),
    ),
    role(
        "system:node-bootstrapper",
        allow(f"{READ} create", "certificatesigningrequests", "certificates.k8s.io"),
    ),
)
