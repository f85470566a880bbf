"""Tells of each APIService whether the server behind it can be reached, in its condition Available.

A server is asked for the resources of the version; what it says becomes a part of this server's discovery.
Source: what the original writes into the condition.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from apimachinery.conditions import get_condition, set_condition
from apimachinery.errors import NotFound, StatusError
from apimachinery.times import format_time
from apiserver.aggregation.proxy import Aggregator, Remote
from apiserver.discovery.foreign import Foreign, ForeignVersions
from apiserver.proxy.kubelet import unreachable_reason
from apiserver.proxy.services import NoServer
from apiserver.registry.changes import Edit
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.request.user import MASTERS, User
from apiserver.storage import CachedStorage
from apiserver.storage.interface import StorageError
from componentbase import logs
from componentbase.clock import Clock
from componentbase.net.http1_client import connect, request_head
from componentbase.tasks import wait_for
from kubeapi.apiregistration.apiservice import AVAILABLE, GROUP, RESOURCE, APIService, APIServiceCondition

AGGREGATOR = User("system:kube-aggregator", "", (MASTERS,))
CHECK_SECONDS = 5.0
AGAIN_SECONDS = 30.0
FIRST_RETRY_SECONDS = 0.5
SETTLE_SECONDS = 0.1
"""Changes of Services and their endpoints come in crowds."""
MAX_ANSWER_BYTES = 8 << 20

Json = dict[str, Any]

log = logs.logger(__name__)


@dataclass(slots=True)
class _Watched:
    """A version that is checked from time to time."""

    remote: Remote
    state: object
    """What the last check depended on: see `_state`."""
    told: tuple[str, ...] = ()
    """The condition that the last check has led to: see `_shown`."""
    due: float = 0.0
    retry_seconds: float = FIRST_RETRY_SECONDS
    resources: list[Json] | None = None
    openapi_digest: str = ""
    openapi_v2: bytes = b""
    """Read again with each new digest: the other server makes it from the same kinds."""

    def foreign(self) -> Foreign:
        spec = self.remote.service.spec
        ranks = spec.groupPriorityMinimum, spec.versionPriority
        return Foreign(*ranks, self.resources, self.openapi_digest, self.openapi_v2)


class AvailabilityChecker:
    """`user` is the identity of the server's own writes."""

    def __init__(
        self,
        aggregator: Aggregator,
        foreign: ForeignVersions,
        stores: Stores,
        storage: CachedStorage,
        clock: Clock,
        user: User,
    ) -> None:
        self._aggregator = aggregator
        self._foreign = foreign
        self._store: Store[APIService] = stores.find(RESOURCE.plural, GROUP)
        self._storage = storage
        self._clock = clock
        self._user = user
        self._watched: dict[tuple[str, str], _Watched] = {}
        self._changed = asyncio.Event()
        for kind in (
            RESOURCE,
            stores.find("services").resource,
            stores.find("endpointslices", "discovery.k8s.io").resource,
        ):
            storage.on_change(kind, self._changed.set)

    async def run(self) -> None:
        """Checks until cancelled: on changes, and from time to time what is served elsewhere."""
        await self._storage.wait_loaded()
        while True:
            self._take_over()
            now = self._clock.monotonic()
            due = [item for item in self._watched.values() if item.due <= now]
            await asyncio.gather(*map(self._check, due))
            self._foreign.replace({key: item.foreign() for key, item in self._watched.items()})
            next_due = min((item.due for item in self._watched.values()), default=None)
            timeout = None if next_due is None else max(next_due - self._clock.monotonic(), 0)
            if await wait_for(self._changed, timeout):
                await asyncio.sleep(SETTLE_SECONDS)

    def _take_over(self) -> None:
        """Follows the APIServices; those are due that have changed, or whose Service or endpoints have."""
        remotes = self._aggregator.remotes()
        changed = self._changed.is_set()
        self._changed.clear()
        for key in self._watched.keys() - remotes.keys():
            del self._watched[key]
        for key, remote in remotes.items():
            watched, state = self._watched.get(key), self._state(remote)
            if watched is None or watched.remote.service.spec != remote.service.spec:
                self._watched[key] = _Watched(remote, state)
                continue
            watched.remote = remote
            if changed and (watched.state != state or _shown(_condition(remote.service)) != watched.told):
                watched.state, watched.due = state, 0.0

    def _state(self, remote: Remote) -> object:
        """Returns what makes a new check due when it changes: the Service behind it, its labels and annotations."""
        service, meta = remote.service.spec.service, remote.service.metadata
        assert service is not None
        behind = self._aggregator.locator.state(service.namespace or "", service.name or "")
        return behind, meta.uid, meta.labels, meta.annotations

    async def _check(self, watched: _Watched) -> None:
        service = watched.remote.service
        try:
            watched.resources = _resources(await self._get(watched.remote, watched.remote.path))
            await self._read_openapi(watched)
            condition = APIServiceCondition(type=AVAILABLE, status="True", reason="Passed", message="all checks passed")
            watched.retry_seconds = FIRST_RETRY_SECONDS
            watched.due = self._clock.monotonic() + AGAIN_SECONDS
        except NoServer as error:
            watched.resources, watched.openapi_digest, watched.openapi_v2 = None, "", b""
            condition = APIServiceCondition(type=AVAILABLE, status="False", reason=error.reason, message=str(error))
            watched.due = self._clock.monotonic() + watched.retry_seconds
            watched.retry_seconds = min(watched.retry_seconds * 2, AGAIN_SECONDS)
        watched.told = _shown(condition)
        try:
            await self._write(service, condition)
        except (StatusError, StorageError) as error:
            log.warning("availability not written", name=service.name, error=str(error))

    async def _read_openapi(self, watched: _Watched) -> None:
        digest, before = await self._openapi_digest(watched.remote), watched.openapi_digest
        watched.openapi_digest = digest
        if watched.openapi_v2 and digest == before:
            return
        try:
            watched.openapi_v2 = await self._get(watched.remote, "/openapi/v2")
        except NoServer:
            watched.openapi_v2 = b""  # it may serve all the same

    async def _openapi_digest(self, remote: Remote) -> str:
        """Returns the hash in the URL of a version's OpenAPI document; "" where the server has none."""
        try:
            index = orjson.loads(await self._get(remote, "/openapi/v3"))
            url = index["paths"][remote.path.lstrip("/")]["serverRelativeURL"]
        except (NoServer, ValueError, LookupError, TypeError):
            return ""  # it may serve all the same
        return str(url).rpartition("hash=")[2]

    async def _get(self, remote: Remote, path: str) -> bytes:
        """Returns what the server behind a version answers. Raises: NoServer."""
        url = f"https://{remote.service.name}{path}"
        try:
            backend = remote.backend(self._aggregator.locator, path, AGGREGATOR)
            url = f"https://{backend.netloc}{path}"
            head = [(b"host", backend.netloc.encode()), (b"accept", b"application/json"), (b"connection", b"close")]
            async with asyncio.timeout(CHECK_SECONDS):
                connection = await connect(backend.host, backend.port, tls=backend.tls, server_name=backend.server_name)
                connection.max_body_bytes = MAX_ANSWER_BYTES
                try:
                    answer = await connection.request(request_head("GET", path.encode(), [*head, *backend.identity]))
                finally:
                    connection.close()
        except TimeoutError:
            raise _failed(url, "no answer in time") from None
        except (OSError, ValueError) as error:
            raise _failed(url, unreachable_reason(error)) from None
        if not 200 <= answer.status < 300:
            raise _failed(url, f"bad status from {url}: {answer.status}")
        return answer.body

    async def _write(self, service: APIService, condition: APIServiceCondition) -> None:
        if _shown(_condition(service)) == _shown(condition):
            return
        condition.lastTransitionTime = format_time(self._clock.now())

        def replace(old: APIService) -> APIService:
            if old.metadata.uid != service.metadata.uid or old.spec != service.spec:
                return old
            new = old.clone()
            new.status.conditions = set_condition(old.status.conditions, condition)
            return new

        with suppress(NotFound):  # deleted just now
            await self._store.update("", service.name, Edit(replace), self._user, subresource="status")


def _condition(service: APIService) -> APIServiceCondition | None:
    return get_condition(service.status.conditions, AVAILABLE)


def _shown(condition: APIServiceCondition | None) -> tuple[str, ...]:
    """What a condition says, without its time."""
    return (condition.status, condition.reason or "", condition.message or "") if condition is not None else ()


def _failed(url: str, why: str) -> NoServer:
    return NoServer("FailedDiscoveryCheck", f"failing or missing response from {url}: {why}")


def _resources(body: bytes) -> list[Json]:
    """Reads an APIResourceList; [] where that is of no use: the server may serve requests all the same."""
    try:
        document = orjson.loads(body)
    except ValueError:
        return []
    if not isinstance(document, dict) or document.get("kind") != "APIResourceList":
        return []
    items = document.get("resources") or ()
    return [item for item in items if isinstance(item, dict) and isinstance(item.get("name"), str)]
