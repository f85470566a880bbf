"""What a machine asks the cluster before it joins.

It gets the authority from cluster-info and verifies it by the hash of the invitation. Then it asks, by the token,
whether its name is free.
"""

from __future__ import annotations

import json
import ssl
from base64 import b64decode
from typing import Any

import httpx

from componentbase import tls
from mini_cluster.errors import LauncherError
from mini_cluster.join.invitation import Invitation, hashed_authorities

PATH = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
NODES_PATH = "/api/v1/nodes"
REQUEST_SECONDS = 10.0


class DiscoveryError(LauncherError):
    """The cluster can't be reached, is not the one that sent the invitation, or has no room by it."""


def find_authority(invitation: Invitation) -> bytes:
    """Returns the certificate of the cluster's authority (PEM), after the server has proved to be of it.

    It is that certificate alone: whoever answers may have put one of their own beside it. Raises: DiscoveryError.
    """
    unverified = tls.client_context(insecure=True)
    try:
        authorities = hashed_authorities(_authority_of(_get(invitation.server, PATH, unverified)))
    except ValueError:
        raise DiscoveryError(f"the authority in cluster-info of {invitation.server} can't be read") from None
    pem = authorities.get(invitation.ca_hash)
    if pem is None:
        raise DiscoveryError(
            f"{invitation.server} is not the cluster that sent the invitation: its authority's hash is "
            f"{', '.join(authorities)}, not {invitation.ca_hash}"
        )
    _get(invitation.server, PATH, tls.client_context(ca_data=pem.decode()))
    return pem


def nodes_of_cluster(invitation: Invitation, authority: bytes) -> dict[str, set[str]]:
    """Returns the addresses of each node by its name, asked for by the token.

    Raises: DiscoveryError, also for a token that the cluster does not know or no longer takes.
    """
    context = tls.client_context(ca_data=authority.decode())
    nodes = _get(invitation.server, NODES_PATH, context, invitation.token).get("items") or []
    return {
        node["metadata"]["name"]: {item["address"] for item in (node.get("status") or {}).get("addresses") or ()}
        for node in nodes
    }


def check_vacancy(name: str, nodes: dict[str, set[str]], joined_address: str = "") -> None:
    """Makes sure that no other machine has the name.

    With `joined_address`, its own, this machine is among the nodes: two may have come at the same moment.
    Raises: DiscoveryError.
    """
    undo = "\nEnd this one by `mini-cluster down --purge`." if joined_address else ""
    if name in nodes and not (joined_address and joined_address in nodes[name]):
        raise DiscoveryError(
            f"the cluster has a node {name} already. Give this machine another name by --node-name; if {name} is this "
            f"machine from before, run `mini-cluster node remove {name}` on the control plane's machine first.{undo}"
        )


def _get(server: str, path: str, context: ssl.SSLContext, token: str = "") -> dict[str, Any]:
    """Returns the decoded answer. Raises: DiscoveryError."""
    url = f"https://{server}{path}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.Client(verify=context, timeout=REQUEST_SECONDS, trust_env=False) as client:
            answer = client.get(url, headers=headers)
        if answer.status_code == 401 and token:
            raise DiscoveryError(
                "the cluster does not take the line's token: it has expired, or was deleted. "
                "Run `mini-cluster join-command` once more."
            )
        if answer.status_code != 200:
            raise DiscoveryError(f"GET {url}: {answer.status_code} {answer.text[:300]}")
        document = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise DiscoveryError(f"GET {url}: {error}") from None
    if not isinstance(document, dict):
        raise DiscoveryError(f"GET {url}: the answer is not an object")
    return document


def _authority_of(cluster_info: dict[str, Any]) -> bytes:
    try:
        kubeconfig = json.loads(cluster_info["data"]["kubeconfig"])
        return b64decode(kubeconfig["clusters"][0]["cluster"]["certificate-authority-data"])
    except (KeyError, IndexError, TypeError, ValueError):
        raise DiscoveryError("cluster-info has no kubeconfig with an authority") from None
