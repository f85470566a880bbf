"""Has a node's kubelet make and delete the folders of volumes, through the API server's proxy.

The account that does so may send PUT and DELETE to kubelets, and nothing else there answers to these.
"""

from __future__ import annotations

from typing import Any

import orjson

from apimachinery.errors import StatusError
from kubeclient.rest import RestClient
from kubeclient.wire import quoted

LOCAL, SHARED = "local", "shared"


class FolderError(ConnectionError):
    """The node could not be asked, or refused; `code` is the answer's, and the message says why."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class NodeFolders:
    """Raises from both methods: FolderError, ConnectionError, TimeoutError."""

    def __init__(self, rest: RestClient) -> None:
        self._rest = rest

    async def make(self, node: str, kind: str, name: str) -> str:
        """Makes a folder unless it is there, and returns its path on the node."""
        answer: dict[str, Any] = orjson.loads(await self._request("PUT", node, kind, name))
        return str(answer["path"])

    async def delete(self, node: str, kind: str, name: str) -> None:
        """Deletes a folder with all that is in it."""
        await self._request("DELETE", node, kind, name)

    async def _request(self, method: str, node: str, kind: str, name: str) -> bytes:
        path = f"/api/v1/nodes/{quoted(node)}/proxy/folders/{kind}/{quoted(name)}"
        try:
            return await self._rest.request(method, path)
        except StatusError as error:
            raise FolderError(f"node {node}: {error}", error.code) from None
