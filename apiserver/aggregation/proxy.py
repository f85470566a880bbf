"""Passes requests on to the Services that serve versions of API groups behind this server.

This server has authenticated and authorized them: it vouches for the user by headers, over the certificate of a front
proxy. Source: Kubernetes documentation, "Kubernetes API Aggregation Layer".
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from apimachinery.conditions import is_true
from apimachinery.errors import ServiceUnavailable
from apimachinery.model import decode
from apiserver.http.types import Header
from apiserver.pipeline.routes import Route
from apiserver.proxy.forward import Backend, forward, is_upgrade
from apiserver.proxy.services import NoServer, ServiceLocator
from apiserver.request.info import RequestInfo
from apiserver.request.message import TEXT, Answer, Request, Response
from apiserver.request.user import User
from apiserver.storage import CachedStorage
from componentbase import tls
from kubeapi.apiregistration.apiservice import AVAILABLE, RESOURCE, APIService

EXTRA_SAFE = "!#$&'*+-.^_`|~"
"""What may stand in the name of a header as it is, besides letters and digits."""


class Remote:
    """A version of a group that a Service serves."""

    def __init__(self, service: APIService, credentials: tuple[str, str]) -> None:
        """`credentials` are the files of the front proxy's certificate and key; "" for none."""
        self.service = service
        self.available = is_true(service.status.conditions, AVAILABLE)
        self._credentials = credentials
        self._context: ssl.SSLContext | None = None

    @property
    def path(self) -> str:
        return f"/apis/{self.service.spec.group}/{self.service.spec.version}"

    def backend(self, locator: ServiceLocator, path: str, user: User) -> Backend:
        """Raises: NoServer, OSError and ssl.SSLError for an authority or certificate that can't be read."""
        spec = self.service.spec
        assert spec.service is not None
        port = spec.service.port or 443
        server = locator.locate(spec.service.namespace or "", spec.service.name or "", port)
        headers = tuple(identity_headers(user))
        return Backend(server.host, server.port, path, self._tls(), server.name, headers, has_pages=False)

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            spec, (cert_file, key_file) = self.service.spec, self._credentials
            authority = base64.b64decode(spec.caBundle).decode() if spec.caBundle else ""
            insecure = bool(spec.insecureSkipTLSVerify)
            self._context = tls.client_context(
                ca_data=authority, cert_file=cert_file, key_file=key_file, insecure=insecure
            )
        return self._context


def identity_headers(user: User) -> Iterator[Header]:
    """Yields the headers that name a user to a server that trusts this one."""
    yield b"x-remote-user", user.name.encode()
    if user.uid:
        yield b"x-remote-uid", user.uid.encode()
    for group in user.groups:
        yield b"x-remote-group", group.encode()
    for key, values in user.extra:
        name = b"x-remote-extra-" + quote(key, safe=EXTRA_SAFE).encode().lower()
        for value in values:
            yield name, value.encode()


@dataclass(frozen=True, slots=True)
class _Routes:
    short: Route
    long: Route


class Aggregator:
    """Knows the versions that are served elsewhere, as the watch cache has them."""

    def __init__(self, locator: ServiceLocator, storage: CachedStorage, credentials: tuple[str, str]) -> None:
        self.locator = locator
        self._storage = storage
        self._credentials = credentials
        self._remotes: dict[tuple[str, str], Remote] = {}
        self._routes: dict[tuple[str, str], _Routes] = {}
        self._stale = False
        storage.on_change(RESOURCE, self._note_change)

    def _note_change(self) -> None:
        self._stale = True

    def remotes(self) -> dict[tuple[str, str], Remote]:
        """Returns what is served elsewhere, by group and version."""
        if self._stale:
            self._stale = False
            before, self._remotes = self._remotes, {}
            for entry in self._storage.snapshot(RESOURCE):
                service = decode(APIService, entry.value)
                if service.spec.service is None:
                    continue
                key = service.spec.group or "", service.spec.version or ""
                old = before.get(key)
                remote = old if old is not None and old.service == service else Remote(service, self._credentials)
                self._remotes[key] = remote
            self._routes = {key: self._routes_to(remote) for key, remote in self._remotes.items()}
        return self._remotes

    def route(self, request: Request) -> Route | None:
        """Returns the way of a request that another server answers; None for this server's own."""
        remotes = self.remotes()
        if not remotes:
            return None
        routes = self._routes.get(_group_version(request.info))
        if routes is None:
            return None
        return routes.long if request.info.verb == "watch" or is_upgrade(request) else routes.short

    def _routes_to(self, remote: Remote) -> _Routes:
        async def handle(request: Request) -> Answer:
            return await self._pass_on(request, remote)

        return _Routes(Route(handle, foreign=True), Route(handle, long_running=True, foreign=True))

    async def _pass_on(self, request: Request, remote: Remote) -> Answer:
        if not remote.available:
            return Response(b"service unavailable\n", 503, TEXT)
        path = request.exchange.target.partition(b"?")[0].decode("latin-1")
        try:
            backend = remote.backend(self.locator, path, request.user)
        except (NoServer, OSError, ValueError) as error:
            raise ServiceUnavailable(f"{remote.service.name}: {error}") from None
        return await forward(request, backend)


def _group_version(info: RequestInfo) -> tuple[str, str]:
    """Reads it from the path of a resource, or of what describes a version: /apis/GROUP/VERSION and its OpenAPI."""
    if info.is_resource:
        return info.group, info.version
    parts = info.path.removeprefix("/openapi/v3").split("/")
    return (parts[2], parts[3]) if len(parts) >= 4 and parts[1] == "apis" else ("", "")
