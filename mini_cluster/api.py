"""The launcher's client of the API server, with the administrator's rights."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx

from componentbase import tls
from mini_cluster.cluster.layout import Layout
from mini_cluster.errors import ApiError

REQUEST_SECONDS = 5.0


@dataclass(frozen=True)
class NodeFacts:
    """`ready` is the status of the Ready condition: "True", "False", "Unknown"."""

    ready: str
    pod_cidrs: tuple[str, ...]


class AdminApi:
    """A connection to the API server, which is kept for the next request.

    `authority` is the cluster's certificate authority: its PEM file, in base64.
    """

    def __init__(self, url: str, pki: Path) -> None:
        """`pki` is the folder of the administrator's certificate."""
        context = tls.client_context(
            ca_file=str(pki / "ca.crt"), cert_file=str(pki / "admin.crt"), key_file=str(pki / "admin.key")
        )
        self._client = httpx.Client(base_url=url, verify=context, timeout=REQUEST_SECONDS, trust_env=False)
        self.authority = base64.b64encode((pki / "ca.crt").read_bytes()).decode()

    @classmethod
    def local(cls, layout: Layout, port: int) -> Self:
        return cls(f"https://127.0.0.1:{port}", layout.pki)

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Returns the decoded answer. Raises: ApiError, also for every status from 400 on."""
        try:
            response = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise ApiError(f"{method} {path}: {error}") from None
        if response.status_code >= 400:
            text = f"{method} {path}: {response.status_code} {response.text[:500]}"
            raise ApiError(text, response.status_code)
        answer: dict[str, Any] = response.json()
        return answer

    def exists(self, path: str) -> bool:
        """Raises: ApiError for any answer but yes or no."""
        try:
            self.request("GET", path)
        except ApiError as error:
            if error.code == 404:
                return False
            raise
        return True

    def create_missing(self, collection: str, obj: dict[str, Any]) -> None:
        """Creates the object unless one of its name is there. Raises: ApiError."""
        try:
            self.request("POST", collection, obj)
        except ApiError as error:
            if error.code != 409:  # of an earlier start that was cut off, or the user's own
                raise

    def close(self) -> None:
        self._client.close()

    def nodes(self) -> dict[str, NodeFacts]:
        """Returns what the cluster says of its nodes, by name. Raises: ApiError."""
        nodes = self.request("GET", "/api/v1/nodes").get("items") or []
        return {
            node["metadata"]["name"]: NodeFacts(_ready(node), tuple(node["spec"].get("podCIDRs") or ()))
            for node in nodes
        }


def _ready(node: dict[str, Any]) -> str:
    conditions = node.get("status", {}).get("conditions") or []
    return next((str(item["status"]) for item in conditions if item["type"] == "Ready"), "Unknown")
