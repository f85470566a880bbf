"""The few questions that the launcher asks the API server, as the administrator, with the standard library alone."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any

from mini_cluster.cluster.layout import Layout
from mini_cluster.errors import LauncherError

REQUEST_SECONDS = 5.0


class ApiError(LauncherError):
    """The API server can't be reached or refused; the message says how."""


class AdminApi:
    """One connection to the API server, kept for the next question."""

    def __init__(self, layout: Layout, port: int) -> None:
        context = ssl.create_default_context(cafile=str(layout.certificate("ca")))
        context.load_cert_chain(layout.certificate("admin"), layout.private_key("admin"))
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=REQUEST_SECONDS, context=context)

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The decoded answer. Raises: ApiError, also for every status from 400 on."""
        try:
            sent = None if body is None else json.dumps(body)
            self._connection.request(method, path, sent, {"Content-Type": "application/json"} if sent else {})
            response = self._connection.getresponse()
            received = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ApiError(f"{method} {path}: {error}") from None
        if response.status >= 400:
            raise ApiError(f"{method} {path}: {response.status} {received.decode(errors='replace')[:500]}")
        answer: dict[str, Any] = json.loads(received)
        return answer

    def close(self) -> None:
        self._connection.close()

    def node_readiness(self) -> dict[str, str]:
        """Node name -> the status of its Ready condition ("True", "False", "Unknown"). Raises: ApiError."""
        nodes = self.request("GET", "/api/v1/nodes").get("items") or []
        return {node["metadata"]["name"]: _ready(node) for node in nodes}


def _ready(node: dict[str, Any]) -> str:
    conditions = node.get("status", {}).get("conditions") or []
    return next((str(item["status"]) for item in conditions if item["type"] == "Ready"), "Unknown")
