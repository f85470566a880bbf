"""Makes the objects of a new cluster's DNS: its Service, its Corefile, and the rights of its processes."""

from __future__ import annotations

from collections.abc import Sequence

from mini_cluster.api import AdminApi
from mini_cluster.objects.roles import EVENTS, RBAC, READ, ROLES, Dict, grant, rule, user

NAMESPACE = "kube-system"
ROLE = "system:coredns"
CONFIG_ROLE = "mini-kubernetes:coredns-config"
SUBJECT = user("system:kube-dns")
RULES = (
    rule([""], ["services", "namespaces", "pods", "endpoints"], ["list", "watch"]),
    rule(["discovery.k8s.io"], ["endpointslices"], ["list", "watch"]),
    EVENTS,
)
PORTS = (("dns", "UDP", 53), ("dns-tcp", "TCP", 53), ("metrics", "TCP", 9153))
COREFILE = """\
.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
        max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
"""


def ensure_dns(api: AdminApi, addresses: Sequence[str]) -> None:
    """Makes what is missing in a new cluster; later the objects are the user's. Raises: ApiError.

    The cluster role is made last, and tells that all has been made.
    """
    if api.exists(f"{ROLES}/{ROLE}"):
        return
    namespace, roles = f"/api/v1/namespaces/{NAMESPACE}", f"/apis/{RBAC}/v1/namespaces/{NAMESPACE}"
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "coredns"}}
    api.create_missing(f"{namespace}/configmaps", config_map | {"data": {"Corefile": COREFILE}})
    api.create_missing(f"{namespace}/services", _service(addresses))
    role = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": CONFIG_ROLE}}
    api.create_missing(f"{roles}/roles", role | {"rules": [rule([""], ["configmaps"], READ, ["coredns"])]})
    api.create_missing(f"{roles}/rolebindings", config_binding(CONFIG_ROLE, SUBJECT))
    grant(api, ROLE, RULES, [SUBJECT])


def _service(addresses: Sequence[str]) -> Dict:
    """The label of another proxy has kube-proxy leave its address to the node, which has it itself."""
    labels = {
        "k8s-app": "kube-dns",
        "kubernetes.io/cluster-service": "true",
        "kubernetes.io/name": "CoreDNS",
        "service.kubernetes.io/service-proxy-name": "kube-dns",
    }
    ports = [{"name": name, "protocol": protocol, "port": port} for name, protocol, port in PORTS]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "labels": labels, "annotations": {"prometheus.io/port": "9153"}},
        "spec": {
            "clusterIP": addresses[0],
            "clusterIPs": list(addresses),
            "ipFamilyPolicy": "SingleStack" if len(addresses) == 1 else "RequireDualStack",
            "ports": ports,
        },
    }


def config_binding(name: str, subject: Dict) -> Dict:
    """Lets somebody read the Corefile."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": CONFIG_ROLE},
        "subjects": [subject],
    }
