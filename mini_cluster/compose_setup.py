"""Makes certificates and kubeconfigs for `docker compose up`: `python -m mini_cluster.compose_setup`.

Runs to its end before the other services start. They find their files in the volume that is mounted at `--pki`; the
administrator's kubeconfig goes to `.cluster/` in the project's folder on the machine, and belongs to its owner.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from mini_cluster.cluster.cloud import CLOUD_CONTROLLER_MANAGER, REGION, ZONE
from mini_cluster.cluster.components import CONTROLLER_MANAGER, NODE_ROUTES, SCHEDULER
from mini_cluster.cluster.layout import INGRESS_CONTROLLER, METRICS_SERVER
from mini_cluster.pki.certificates import ensure
from mini_cluster.pki.encryption import ensure_encryption
from mini_cluster.pki.identities import (
    LOCAL_HOSTS,
    cloud_certificates,
    control_plane_certificates,
    node_certificates,
    node_routes_certificate,
)
from mini_cluster.pki.kubeconfig import write_kubeconfig

API_HOST = "apiserver"
API_PORT = 6443  # inside the compose network
ETCD_HOST = "etcd"


def main() -> int:
    parser = argparse.ArgumentParser(description="Makes the certificates and kubeconfigs of a compose cluster.")
    parser.add_argument("--pki", type=Path, required=True, help="folder for certificates and the daemons' kubeconfigs")
    parser.add_argument("--project", type=Path, required=True, help="the project's folder, for .cluster/kubeconfig")
    parser.add_argument("--api-port", type=int, default=API_PORT, help="the API server's port on the machine")
    parser.add_argument("--inventory", type=Path, required=True, help="the local cloud's file")
    parser.add_argument("--balancers", required=True, metavar="NETWORK", help="from which balancers get addresses")
    parser.add_argument("nodes", nargs="*", metavar="NODE=ADDRESS", help="worker hosts")
    options = parser.parse_args()
    nodes = dict(item.split("=", 1) for item in options.nodes)
    certificates = control_plane_certificates((*LOCAL_HOSTS, API_HOST), (*LOCAL_HOSTS, ETCD_HOST))
    certificates.append(node_routes_certificate())
    certificates += cloud_certificates()
    for node, address in nodes.items():
        certificates += node_certificates(node, (address, "127.0.0.1"))
    remade = ensure(options.pki, certificates, datetime.now(UTC))
    ensure_encryption(options.pki / "encryption.yaml")
    print(f"{len(remade)} certificates made, {len(certificates) + 2 - len(remade)} kept")
    write_kubeconfigs(options.pki, list(nodes))
    # The hosts themselves are compose's own business.
    cloud = {"cluster": "compose", "region": REGION, "zone": ZONE, "hosts": [], "balancers": [options.balancers]}
    options.inventory.write_text(json.dumps(cloud))
    write_for_owner(options.project, options.pki, options.api_port)
    return 0


def write_kubeconfigs(pki: Path, nodes: list[str]) -> None:
    """Writes a kubeconfig for each daemon, beside the certificates."""
    names = [CONTROLLER_MANAGER, SCHEDULER, CLOUD_CONTROLLER_MANAGER, INGRESS_CONTROLLER, METRICS_SERVER, NODE_ROUTES]
    for node in nodes:
        names += [f"{daemon}-{node}" for daemon in ("kubelet", "kube-proxy", "kube-dns", "netagent")]
    for name in names:
        write_kubeconfig(pki / f"{name}.kubeconfig", f"https://{API_HOST}:{API_PORT}", pki, name)


def write_for_owner(project: Path, pki: Path, api_port: int) -> None:
    """Writes the administrator's kubeconfig, for the owner of the project's folder, who may be another user."""
    owner = project.stat()
    kubeconfig = project / ".cluster" / "kubeconfig"
    server = f"https://127.0.0.1:{api_port}"
    write_kubeconfig(kubeconfig, server, pki, "admin", user="kubernetes-admin", embed=True)
    for path in (kubeconfig.parent, kubeconfig):
        os.chown(path, owner.st_uid, owner.st_gid)
    print("wrote .cluster/kubeconfig")


if __name__ == "__main__":
    sys.exit(main())
