"""Kubeconfig files: with everything inside for people, by reference to certificate files for daemons."""

from __future__ import annotations

import base64
from pathlib import Path

from componentbase.host.privatefiles import write_private
from kubeclient.access.config import kubeconfig_text
from mini_cluster.cluster.cloud import CLOUD_CONTROLLER_MANAGER, CLUSTER_AUTOSCALER
from mini_cluster.cluster.components import CONTROLLER_MANAGER, NODE_ROUTES, SCHEDULER
from mini_cluster.cluster.layout import INGRESS_CONTROLLER, METRICS_SERVER, Layout
from mini_cluster.cluster.state import ClusterState

CONTEXT = "mini-kubernetes"


def write_kubeconfig(path: Path, server: str, pki: Path, identity: str, *, user: str = "", embed: bool = False) -> None:
    """Writes the kubeconfig of the identity whose certificate is `identity` below `pki`; an equal one is left alone.

    `embed` copies the certificates into it, so that the file can be carried elsewhere.
    """
    authority, certificate, key = pki / "ca.crt", pki / f"{identity}.crt", pki / f"{identity}.key"
    if embed:
        cluster_part = {"certificate-authority-data": _base64(authority)}
        user_part = {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}
    else:
        cluster_part = {"certificate-authority": str(authority)}
        user_part = {"client-certificate": str(certificate), "client-key": str(key)}
    cluster = {"server": server, **cluster_part}
    text = kubeconfig_text(cluster, user_part, name=CONTEXT, user_name=user or identity).encode()
    if not path.exists() or path.read_bytes() != text:
        write_private(path, text)


def write_cluster_kubeconfigs(layout: Layout, state: ClusterState) -> None:
    """Writes the administrator's kubeconfig and one for each daemon; those on worker hosts use the bridge's address."""
    local = f"https://127.0.0.1:{state.ports.api}"
    from_hosts = f"https://{state.gateway}:{state.ports.api}"
    write_kubeconfig(layout.kubeconfig, local, layout.pki, "admin", user="kubernetes-admin", embed=True)
    cloud = (CLOUD_CONTROLLER_MANAGER, CLUSTER_AUTOSCALER) if state.cloud else ()
    for name in (
        CONTROLLER_MANAGER,
        SCHEDULER,
        INGRESS_CONTROLLER,
        METRICS_SERVER,
        *cloud,
        *((NODE_ROUTES,) if state.has_networks else ()),
    ):
        write_kubeconfig(layout.component_kubeconfig(name), local, layout.pki, name)
    for node in state.nodes:
        for daemon in ("kubelet", "kube-proxy", "kube-dns", "netagent"):
            name = f"{daemon}-{node.name}"
            write_kubeconfig(layout.component_kubeconfig(name), from_hosts, layout.pki, name)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
