"""The store's current revision, asked once for all readers that wait for it."""

from __future__ import annotations

import asyncio

from apiserver.storage.interface import StorageError, StorageUnavailable
from etcdclient.client import EtcdClient


class SharedRevision:
    """Readers join the next request, never the one under way, which etcd may have answered before they came."""

    def __init__(self, etcd: EtcdClient) -> None:
        self._etcd = etcd
        self._waiting: list[asyncio.Future[int]] = []
        self._wanted = asyncio.Event()
        self._running = False

    async def get(self) -> int:
        """Returns a revision no older than the moment of the call. Raises: StorageUnavailable."""
        if not self._running:
            raise StorageUnavailable("storage is not running")
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._wanted.set()
        return await future

    async def run(self) -> None:
        """Asks etcd whenever someone waits, one request at a time, until cancelled."""
        self._running = True
        readers: list[asyncio.Future[int]] = []
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                readers, self._waiting = self._waiting, []
                try:
                    _, revision = await self._etcd.current_revision()
                except StorageError as error:
                    _fail(readers, error)
                else:
                    for reader in readers:
                        if not reader.done():
                            reader.set_result(revision)
        finally:
            self._running = False
            _fail(readers + self._waiting, StorageUnavailable("storage has been stopped"))


def _fail(readers: list[asyncio.Future[int]], error: StorageError) -> None:
    for reader in readers:
        if not reader.done():
            reader.set_exception(error)
