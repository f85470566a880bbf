"""Takes over a changed encryption configuration while the server runs, and tries again what could not be read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection

from apiserver.encryption.config import GroupResource, load_encryption
from apiserver.storage import CachedStorage
from apiserver.storage.interface import StorageUnavailable
from componentbase import logs
from componentbase.configfile import ConfigFileError

RELOAD_SECONDS = 5.0  # between looks at the file, each a call of stat

log = logs.logger(__name__)


class EncryptionReloader:
    def __init__(
        self,
        file: str,
        storage: CachedStorage,
        resources: Collection[GroupResource],
        interval_seconds: float = RELOAD_SECONDS,
    ) -> None:
        """`resources` are those that may be encrypted, besides custom resources. Raises: ConfigFileError."""
        self._file = file
        self._storage = storage
        self._resources = resources
        self._interval_seconds = interval_seconds
        self._state = self._file_state()
        self._load()

    async def run(self) -> None:
        """Goes on until cancelled. A file that can't be used changes nothing: the server goes on as before."""
        while True:
            await asyncio.sleep(self._interval_seconds)
            state = self._file_state()
            if state != self._state:
                self._state = state
                try:
                    self._load()
                except ConfigFileError as error:
                    log.error("encryption configuration not taken over", file=self._file, error=str(error))
                else:
                    log.info("encryption configuration taken over", file=self._file)
            await self._read_again()

    def _load(self) -> None:
        """Raises: ConfigFileError."""
        encryption = load_encryption(self._file)
        self._storage.use_transformers(encryption.transformers(self._resources), encryption.transformer)

    async def _read_again(self) -> None:
        before = self._storage.unreadable
        if not before:
            return
        try:
            await self._storage.read_again()
        except StorageUnavailable:
            return  # the next turn tries again
        if self._storage.unreadable < before:
            log.info("objects can be read again", count=before - self._storage.unreadable)

    def _file_state(self) -> tuple[int, int, int] | None:
        """Returns what changes when the file is written or replaced; None while there is none."""
        try:
            status = os.stat(self._file)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size
