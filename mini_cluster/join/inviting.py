"""The control plane's side: a bootstrap token, and the objects by which a machine that has it becomes a node.

They are those of kubeadm: cluster-info, which everybody may read, and roles for the group of the tokens.
"""

from __future__ import annotations

import json
import secrets
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

from apimachinery.times import format_time
from mini_cluster.api import AdminApi
from mini_cluster.errors import ApiError
from mini_cluster.join.invitation import Invitation, ca_hash
from mini_cluster.objects import dns, netagent

TOKENS_GROUP = "system:bootstrappers:mini-cluster:default-node-token"
NODES_READER = "mini-cluster:nodes-reader"
RBAC = "rbac.authorization.k8s.io"
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


def invite(
    api: AdminApi, server: str, ca_file: Path, pod_network: str, host_network: str, ttl_seconds: float
) -> Invitation:
    """Makes a token for machines that join. Raises: ApiError."""
    ca = ca_file.read_bytes()
    for path, obj in _objects(server, ca):
        _ensure(api, path, obj)
    token_id, secret = _random(6), _random(16)
    api.request("POST", "/api/v1/namespaces/kube-system/secrets", _token(token_id, secret, ttl_seconds))
    return Invitation(server, f"{token_id}.{secret}", ca_hash(ca), pod_network, host_network)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _token(token_id: str, secret: str, ttl_seconds: float) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"bootstrap-token-{token_id}"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": token_id,
            "token-secret": secret,
            "expiration": format_time(time.time() + ttl_seconds),
            "usage-bootstrap-authentication": "true",
            "usage-bootstrap-signing": "true",
            "auth-extra-groups": TOKENS_GROUP,
            "description": "made by `mini-cluster join-command`",
        },
    }


def _objects(server: str, ca: bytes) -> list[tuple[str, dict[str, Any]]]:
    """Returns the objects, each with the path of its collection."""
    cluster = {"server": f"https://{server}", "certificate-authority-data": b64encode(ca).decode()}
    kubeconfig = {"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "", "cluster": cluster}]}
    info = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "cluster-info"},
        "data": {"kubeconfig": json.dumps(kubeconfig)},
    }
    reader = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": "mini-cluster:cluster-info"},
        "rules": [
            {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["cluster-info"], "verbs": ["get"]}
        ],
    }
    nodes_reader = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": NODES_READER},
        "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]}],
    }
    public = "/api/v1/namespaces/kube-public/configmaps"
    roles = f"/apis/{RBAC}/v1/namespaces/kube-public"
    approve = "system:certificates.k8s.io:certificatesigningrequests"
    nodes = {"kind": "Group", "name": "system:nodes", "apiGroup": RBAC}
    corefile = dns.config_binding("mini-cluster:joined-node-dns", nodes)
    return [
        (public, info),
        (f"/apis/{RBAC}/v1/namespaces/kube-system/rolebindings", corefile),
        (f"{roles}/roles", reader),
        (f"/apis/{RBAC}/v1/clusterroles", nodes_reader),
        (
            f"{roles}/rolebindings",
            _binding("RoleBinding", "cluster-info", "Role", "mini-cluster:cluster-info", "system:unauthenticated"),
        ),
        *(
            (f"/apis/{RBAC}/v1/clusterrolebindings", _binding("ClusterRoleBinding", name, "ClusterRole", role, group))
            for name, role, group in (
                ("kubelet-bootstrap", "system:node-bootstrapper", TOKENS_GROUP),
                ("joining-nodes-reader", NODES_READER, TOKENS_GROUP),  # is there a node of the name already?
                ("node-autoapprove-bootstrap", f"{approve}:nodeclient", TOKENS_GROUP),
                ("node-autoapprove-rotation", f"{approve}:selfnodeclient", "system:nodes"),
                ("joined-node-proxier", "system:node-proxier", "system:nodes"),  # kube-proxy has the kubelet's identity
                ("joined-node-dns", dns.ROLE, "system:nodes"),  # and so has kube-dns
                ("joined-node-netagent", netagent.ROLE, "system:nodes"),  # and netagent
            )
        ),
    ]


def _binding(kind: str, name: str, role_kind: str, role: str, group: str) -> dict[str, Any]:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": {"name": f"mini-cluster:{name}"},
        "roleRef": {"apiGroup": RBAC, "kind": role_kind, "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": group}],
    }


def _ensure(api: AdminApi, collection: str, obj: dict[str, Any]) -> None:
    """Creates the object; where there is one, what we say of it wins. Raises: ApiError."""
    path = f"{collection}/{obj['metadata']['name']}"
    try:
        current = api.request("GET", path)
    except ApiError:
        api.request("POST", collection, obj)
        return
    merged = current | {key: value for key, value in obj.items() if key != "metadata"}
    if "data" in obj:
        merged["data"] = (current.get("data") or {}) | obj["data"]  # signatures of tokens are beside ours
    if merged != current:
        api.request("PUT", path, merged)
