"""Gets the cluster's authority from cluster-info, and verifies it by the hash of the invitation."""

from __future__ import annotations

import json
import ssl
from base64 import b64decode

import httpx

from componentbase import tls
from mini_cluster.errors import LauncherError
from mini_cluster.join.invitation import Invitation, ca_hash

PATH = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
REQUEST_SECONDS = 10.0


class DiscoveryError(LauncherError):
    """The cluster can't be reached, or is not the one that sent the invitation."""


def find_authority(invitation: Invitation) -> bytes:
    """Returns the certificate of the cluster's authority (PEM), after the server has proved to be of it.

    Raises: DiscoveryError.
    """
    unverified = tls.client_context(insecure=True)
    pem = _authority_of(_get(invitation.server, unverified))
    try:
        received_hash = ca_hash(pem)
    except ValueError:
        raise DiscoveryError(f"the authority in cluster-info of {invitation.server} can't be read") from None
    if received_hash != invitation.ca_hash:
        raise DiscoveryError(
            f"{invitation.server} is not the cluster that sent the invitation: "
            f"its authority's hash is {received_hash}, "
            f"not {invitation.ca_hash}"
        )
    _get(invitation.server, tls.client_context(ca_data=pem.decode()))
    return pem


def _get(server: str, context: ssl.SSLContext) -> dict[str, str]:
    """Returns the data of cluster-info. Raises: DiscoveryError."""
    url = f"https://{server}{PATH}"
    try:
        with httpx.Client(verify=context, timeout=REQUEST_SECONDS, trust_env=False) as client:
            answer = client.get(url)
        if answer.status_code != 200:
            raise DiscoveryError(f"GET {url}: {answer.status_code} {answer.text[:300]}")
        data: dict[str, str] = answer.json().get("data") or {}
        return data
    except (httpx.HTTPError, ValueError) as error:
        raise DiscoveryError(f"GET {url}: {error}") from None


def _authority_of(data: dict[str, str]) -> bytes:
    try:
        kubeconfig = json.loads(data["kubeconfig"])
        return b64decode(kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"])
    except (KeyError, IndexError, TypeError, ValueError):
        raise DiscoveryError("cluster-info has no kubeconfig with an authority") from None
