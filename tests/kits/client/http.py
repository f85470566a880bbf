"""Plain HTTP clients of a cluster's API server."""

from __future__ import annotations

import ssl

import httpx

from mini_cluster.pytest_plugin import ClusterHandle


def connect(cluster: ClusterHandle, certificate: str = "admin", *, seconds: float = 5.0) -> httpx.Client:
    """A client with the identity of a certificate, or with none for "". A request may take as many `seconds`."""
    context = ssl.create_default_context(cafile=str(cluster.pki / "ca.crt"))
    if certificate:
        context.load_cert_chain(cluster.pki / f"{certificate}.crt", cluster.pki / f"{certificate}.key")
    return httpx.Client(base_url=cluster.server, verify=context, timeout=seconds, trust_env=False)
