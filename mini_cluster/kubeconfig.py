"""Kubeconfig files: with everything inside for people, by reference to certificate files for daemons."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from mini_cluster.pki import write_private

CONTEXT = "mini-kubernetes"


def kubeconfig_text(server: str, authority: Path, certificate: Path, key: Path, user: str, *, embed: bool) -> str:
    """A kubeconfig with one cluster, user and context. JSON is YAML, so no YAML writer is needed.

    `embed` copies the certificates into it, so that the file can be carried elsewhere.
    """
    if embed:
        cluster_part = {"certificate-authority-data": _base64(authority)}
        user_part = {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}
    else:
        cluster_part = {"certificate-authority": str(authority)}
        user_part = {"client-certificate": str(certificate), "client-key": str(key)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": {"server": server, **cluster_part}}],
        "users": [{"name": user, "user": user_part}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
        "current-context": CONTEXT,
    }
    return json.dumps(config, indent=2) + "\n"


def write_kubeconfig(path: Path, server: str, pki: Path, identity: str, *, user: str = "", embed: bool = False) -> None:
    """Writes the kubeconfig of the identity whose certificate is `identity` below `pki`; an equal one is left alone."""
    text = kubeconfig_text(
        server,
        pki / "ca.crt",
        pki / f"{identity}.crt",
        pki / f"{identity}.key",
        user or identity,
        embed=embed,
    ).encode()
    if not path.exists() or path.read_bytes() != text:
        write_private(path, text)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
