"""One storage driver on this node: the calls of its Node service."""

from __future__ import annotations

from typing import TypeVar

from kubelet.plugins.message import Empty, Message
from kubelet.plugins.rpc import DEFAULT_SECONDS, PluginClient, RpcError
from kubelet.volume.csi import messages as csi

M = TypeVar("M", bound=Message)

STATS_SECONDS = 5.0  # for figures, which somebody waits for
_UNCERTAIN = frozenset(("Canceled", "Cancelled", "DeadlineExceeded", "Unavailable", "ResourceExhausted", "Aborted"))
"""After these codes the call may still be going on, or have happened."""


def is_final(error: RpcError) -> bool:
    """Tells whether the driver certainly has not done, and does not do, what it was asked for."""
    return error.code not in _UNCERTAIN


class Driver:
    """`node_id` is the node's name in the driver's words. Methods raise RpcError."""

    def __init__(self, name: str, socket_path: str) -> None:
        self.name = name
        self.socket_path = socket_path
        self._client = PluginClient(socket_path)
        self._capabilities: frozenset[int] | None = None

    async def info(self) -> csi.NodeGetInfoResponse:
        return await self._call("NodeGetInfo", Empty(), csi.NodeGetInfoResponse)

    async def serves(self, capability: int) -> bool:
        """Asks the driver once in its life."""
        if self._capabilities is None:
            answer = await self._call("NodeGetCapabilities", Empty(), csi.NodeGetCapabilitiesResponse)
            self._capabilities = frozenset(item.rpc.type for item in answer.capabilities if item.rpc is not None)
        return capability in self._capabilities

    async def stage(self, request: csi.NodeStageVolumeRequest) -> None:
        await self._call("NodeStageVolume", request, Empty)

    async def unstage(self, handle: str, staging_path: str) -> None:
        await self._call("NodeUnstageVolume", csi.NodeUnstageVolumeRequest(handle, staging_path), Empty)

    async def publish(self, request: csi.NodePublishVolumeRequest) -> None:
        await self._call("NodePublishVolume", request, Empty)

    async def unpublish(self, handle: str, target_path: str) -> None:
        await self._call("NodeUnpublishVolume", csi.NodeUnpublishVolumeRequest(handle, target_path), Empty)

    async def expand(self, request: csi.NodeExpandVolumeRequest) -> int:
        """Returns the size in bytes that the volume has now."""
        answer = await self._call("NodeExpandVolume", request, csi.NodeExpandVolumeResponse)
        wanted = request.capacity_range.required_bytes if request.capacity_range is not None else 0
        return answer.capacity_bytes or wanted

    async def stats(self, request: csi.NodeGetVolumeStatsRequest) -> csi.NodeGetVolumeStatsResponse:
        return await self._call("NodeGetVolumeStats", request, csi.NodeGetVolumeStatsResponse, STATS_SECONDS)

    def close(self) -> None:
        self._client.close()

    async def _call(
        self, method: str, request: Message, answer: type[M], timeout_seconds: float = DEFAULT_SECONDS
    ) -> M:
        return await self._client.call(f"{csi.SERVICE}/{method}", request, answer, timeout_seconds=timeout_seconds)


async def access_mode(driver: Driver, modes: tuple[str, ...]) -> int:
    """Translates the first access mode of a volume. Raises: RpcError."""
    mode = next(iter(modes), "ReadWriteOnce")
    if mode in ("ReadWriteOnce", "ReadWriteOncePod") and await driver.serves(csi.SINGLE_NODE_MULTI_WRITER):
        return {"ReadWriteOnce": 7, "ReadWriteOncePod": 6}[mode]
    return {"ReadWriteOnce": 1, "ReadWriteOncePod": 1, "ReadOnlyMany": 3, "ReadWriteMany": 5}[mode]
