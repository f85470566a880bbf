"""Notes which tokens from Secrets are still in use, so that the unused ones can be removed some day.

The ConfigMap says since when uses are noted; the label of a Secret says on which day its token was last used.
Source: Kubernetes documentation, "Managing Service Accounts", "Legacy ServiceAccount token cleaner".
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from apimachinery.errors import StatusError
from apimachinery.meta import ObjectMeta
from apimachinery.times import format_date
from apiserver.main.bootstrap import create_missing
from apiserver.registry.changes import Edit
from apiserver.registry.stores import Stores
from apiserver.request.user import APISERVER
from apiserver.storage.interface import StorageError
from componentbase import logs
from componentbase.clock import Clock
from kubeapi.core.configmap import ConfigMap
from kubeapi.core.secret import accounttoken
from kubeapi.core.secret.model import Secret

PENDING_LABELS = 1000  # Secrets; a use that finds no room is noted when the token is verified next

log = logs.logger(__name__)


class LegacyTokenUse:
    """Labels the Secrets whose tokens are used, once a day each."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pending: asyncio.Queue[tuple[str, str]] = asyncio.Queue(PENDING_LABELS)

    def today(self) -> str:
        return format_date(self._clock.now())

    def note(self, secret: Mapping[str, Any]) -> None:
        """Takes the Secret of a token that has just been verified."""
        meta = secret["metadata"]
        if (meta.get("labels") or {}).get(accounttoken.LAST_USED) != self.today() and not self._pending.full():
            self._pending.put_nowait((meta["namespace"], meta["name"]))

    async def run(self, stores: Stores) -> None:
        """Writes the labels; those that can't be written now are left to the next use."""
        store = stores.find("secrets")
        while True:
            namespace, name = await self._pending.get()
            try:
                await store.update(namespace, name, Edit(self._labelled), APISERVER)
            except (StatusError, StorageError) as error:
                log.warning("last use of a token not noted", secret=f"{namespace}/{name}", error=str(error))

    def _labelled(self, old: Secret) -> Secret:
        new = old.clone()
        new.metadata.labels = {**old.labels, accounttoken.LAST_USED: self.today()}
        return new

    async def begin(self, stores: Stores) -> None:
        """Says in the ConfigMap since when uses are noted. Raises: StatusError, StorageError."""
        meta = ObjectMeta(name=accounttoken.TRACKING_NAME, namespace=accounttoken.TRACKING_NAMESPACE)
        since = {accounttoken.TRACKED_SINCE: self.today()}
        await create_missing(stores.find("configmaps"), ConfigMap(metadata=meta, data=since))
