"""The kinds that the cluster's API serves: metrics may describe any object, and name its kind by the plural."""

from __future__ import annotations

import asyncio

from apimachinery.errors import StatusError
from componentbase import logs
from componentbase.clock import Clock
from kubeclient.discovery import APIResource, discover
from kubeclient.rest import RestClient

AGAIN_SECONDS = 10.0  # before the API is asked again for a kind that it did not have

log = logs.logger(__name__)


class KindsOfApi:
    def __init__(self, rest: RestClient, clock: Clock) -> None:
        self._rest = rest
        self._clock = clock
        self._kinds: dict[tuple[str, str], APIResource] = {}
        self._again_at = 0.0
        self._asking = asyncio.Lock()

    async def find(self, plural: str, group: str) -> APIResource | None:
        """Asks the API when it does not know the kind; not more often than every few seconds."""
        async with self._asking:
            if (plural, group) not in self._kinds and self._clock.monotonic() >= self._again_at:
                self._again_at = self._clock.monotonic() + AGAIN_SECONDS
                try:
                    resources = (await discover(self._rest)).resources
                    self._kinds = {(item.name, item.group): item for item in resources}
                except (StatusError, ConnectionError, TimeoutError) as error:
                    log.warning("kinds of the API not known", error=str(error))
        return self._kinds.get((plural, group))
