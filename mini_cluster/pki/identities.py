"""The certificates that a cluster needs: who speaks to whom, and under which name."""

from __future__ import annotations

from collections.abc import Sequence

from mini_cluster.cluster.cloud import CLOUD_CONTROLLER_MANAGER, CLUSTER_AUTOSCALER
from mini_cluster.cluster.components import FRONT_PROXY, NODE_ROUTES
from mini_cluster.cluster.families import SERVICE_CIDRS, first_of
from mini_cluster.cluster.layout import INGRESS_CONTROLLER, METRICS_SERVER
from mini_cluster.cluster.state import ClusterState
from mini_cluster.pki.certificates import ETCD_AUTHORITY, FRONT_PROXY_AUTHORITY, Certificate

ADMINS = "system:masters"
NODES = "system:nodes"
LOCAL_HOSTS = ("127.0.0.1", "localhost")
SERVICE_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


def control_plane_certificates(
    api_hosts: tuple[str, ...], etcd_hosts: tuple[str, ...], service_cidrs: Sequence[str] = (SERVICE_CIDRS[4],)
) -> list[Certificate]:
    """Returns the control plane's certificates. The hosts are the names and addresses that clients use."""
    service_addresses = map(first_of, service_cidrs)
    return [
        Certificate("etcd/server", "etcd", hosts=etcd_hosts, authority=ETCD_AUTHORITY),
        Certificate("apiserver-etcd-client", "kube-apiserver-etcd-client", authority=ETCD_AUTHORITY),
        Certificate(
            "apiserver", "kube-apiserver", hosts=_unique(*api_hosts, *SERVICE_NAMES, *service_addresses), client=False
        ),
        Certificate("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ADMINS),
        Certificate(FRONT_PROXY, FRONT_PROXY, authority=FRONT_PROXY_AUTHORITY),
        Certificate("admin", "kubernetes-admin", ADMINS),
        Certificate("kube-controller-manager", "system:kube-controller-manager", hosts=LOCAL_HOSTS),
        Certificate(INGRESS_CONTROLLER, f"system:{INGRESS_CONTROLLER}"),
        Certificate(METRICS_SERVER, f"system:{METRICS_SERVER}", hosts=(f"{METRICS_SERVER}.kube-system.svc",)),
        Certificate("kube-scheduler", "system:kube-scheduler", hosts=LOCAL_HOSTS),
    ]


def node_certificates(node: str, hosts: tuple[str, ...]) -> list[Certificate]:
    """Returns a worker host's certificates: the kubelet's as a client and as a server, and its other daemons'."""
    return [
        Certificate(f"kubelet-{node}", f"system:node:{node}", NODES),
        Certificate(f"kubelet-{node}-server", node, hosts=_unique(node, *hosts), client=False),
        Certificate(f"kube-proxy-{node}", "system:kube-proxy", hosts=_unique(node, *hosts)),
        Certificate(f"kube-dns-{node}", "system:kube-dns"),
        Certificate(f"netagent-{node}", "system:netagent"),
    ]


def node_routes_certificate() -> Certificate:
    """Returns the netagent's certificate on the control plane's host, which is no node but needs routes to pods."""
    return Certificate(NODE_ROUTES, "system:kube-proxy")  # which may watch Nodes


def cloud_certificates() -> list[Certificate]:
    """Returns those of the local cloud's daemons."""
    return [
        Certificate(name, f"system:{name}", hosts=LOCAL_HOSTS)
        for name in (CLOUD_CONTROLLER_MANAGER, CLUSTER_AUTOSCALER)
    ]


def cluster_certificates(state: ClusterState, hostname: str) -> list[Certificate]:
    """Returns all certificates for a cluster of processes on this machine."""
    outside = [state.join_address] if state.join_address else []
    api_hosts = _unique(*LOCAL_HOSTS, hostname, *(each.gateway for each in state.networks if state.nodes), *outside)
    certificates = control_plane_certificates(api_hosts, LOCAL_HOSTS, state.service_cidrs)
    if state.has_networks:
        certificates.append(node_routes_certificate())
    if state.cloud:
        certificates += cloud_certificates()
    for node in state.nodes:
        certificates += node_certificates(
            node.name, (*(each.node_ip(node.index) for each in state.networks), "127.0.0.1")
        )
    return certificates


def _unique(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
