"""Reads and writes the scale of a workload of any kind, found by the API's own list of kinds."""

from __future__ import annotations

from apimachinery.errors import StatusError
from apimachinery.model import decode
from componentbase.clock import Clock
from kubeapi.autoscaling.horizontalpodautoscaler.metrics import CrossVersionObjectReference
from kubeapi.autoscaling.scale import RESOURCE as SCALE
from kubeapi.autoscaling.scale import Scale
from kubeclient.discovery import APIResource, discover
from kubeclient.rest import RestClient
from kubeclient.wire import body, path

REFRESH_SECONDS = 30.0  # a kind that is not known is looked for again, but not more often than this


class UnknownKind(Exception):
    """The API serves no such kind."""


class Scales:
    def __init__(self, rest: RestClient, clock: Clock) -> None:
        self._rest, self._clock = rest, clock
        self._kinds: dict[tuple[str, str], APIResource] = {}
        self._read_at, self._doubted = float("-inf"), False

    async def kind(self, reference: CrossVersionObjectReference) -> APIResource:
        """Finds the kind in its group, in the preferred of the versions that have it. Raises: UnknownKind, and as
        RestClient's methods."""
        group = (reference.apiVersion or "").rpartition("/")[0]
        key = group, reference.kind
        old = self._clock.monotonic() - self._read_at >= REFRESH_SECONDS
        if old and (key not in self._kinds or self._doubted):
            discovery = await discover(self._rest, preferred=False)
            self._read_at, self._doubted = self._clock.monotonic(), False
            self._kinds = {}
            for resource in discovery.resources:
                if not resource.is_subresource:
                    self._kinds.setdefault((resource.group, resource.kind), resource)
        if key not in self._kinds:
            raise UnknownKind(f'no matches for kind "{reference.kind}" in group "{group}"')
        return self._kinds[key]

    async def read(self, namespace: str, target: CrossVersionObjectReference) -> tuple[Scale, str]:
        """Returns the scale and its URL path. Raises: as `kind`."""
        kind = await self.kind(target)
        where = path(kind.metadata_only(), namespace, target.name, "scale")
        try:
            return decode(Scale, await self._rest.request("GET", where)), where
        except StatusError:
            self._doubted = True  # the version may be gone, or the workload alone
            raise

    async def write(self, where: str, scale: Scale, replicas: int) -> None:
        """Raises: Conflict when the workload has changed since the scale was read, and as RestClient's methods."""
        changed = scale.clone()
        changed.spec.replicas = replicas
        await self._rest.request("PUT", where, body=body(changed, SCALE))
