"""An API server with our metrics server behind it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mini_cluster.objects.metrics import registration
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually
from tests.kits.identity.certificates import write_certificates
from tests.kits.process import Daemon

GROUPS = ("metrics.k8s.io/v1beta1", "custom.metrics.k8s.io/v1beta2", "external.metrics.k8s.io/v1beta1")


def _served(api: ApiServer, group: str) -> bool:
    return api.http.get(f"/apis/{group}").status_code == 200


@contextmanager
def measured_api(folder: Path, *flags: str) -> Iterator[tuple[ApiServer, dict[str, Path]]]:
    """Yields the API server, and the files of `write_certificates` that kubelets have to go by."""
    for name in ("api", "proxies", "kubelets", "serving", "metrics"):
        (folder / name).mkdir(parents=True)
    proxies = write_certificates(folder / "proxies", authority="proxies")
    serving = write_certificates(folder / "serving", "metrics-server.kube-system.svc", authority="serving")
    kubelets = write_certificates(folder / "kubelets")
    flags = (
        f"--proxy-client-cert-file={proxies['client']}",
        f"--proxy-client-key-file={proxies['client-key']}",
        f"--kubelet-certificate-authority={kubelets['ca']}",
        f"--kubelet-client-certificate={kubelets['client']}",
        f"--kubelet-client-key={kubelets['client-key']}",
        *flags,
    )
    with EtcdServer(folder) as etcd, ApiServer(folder / "api", etcd.url, *flags) as api:
        server = Daemon("metrics_server", api.url, folder / "metrics")
        server.command += [
            "--bind-address=127.0.0.1",
            f"--secure-port={server.port}",
            f"--requestheader-client-ca-file={proxies['ca']}",
            f"--tls-cert-file={serving['server']}",
            f"--tls-private-key-file={serving['server-key']}",
            *(flag for flag in flags if flag.startswith("--kubelet-")),
        ]
        authority = base64.b64encode(serving["ca"].read_bytes()).decode()
        with server:
            for path, body in registration("127.0.0.1", server.port, authority):
                answer = api.http.post(path, json=body)
                assert answer.status_code == 201, answer.text
            for group in GROUPS:
                eventually(partial(_served, api, group), f"{group} is served")
            yield api, kubelets
