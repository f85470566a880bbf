"""Serves the kubelet's HTTPS: logs, exec, attach and port-forward for the API server, health and metrics beside them.

Everything but the health probes needs a client certificate, whose user has to be authorized; errors are plain text,
which the API server turns into a `Status`.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Awaitable
from urllib.parse import unquote

import orjson

from apimachinery.errors import StatusError
from apimachinery.model import encode
from componentbase import logs
from componentbase.clock import Clock
from componentbase.health import HealthHandler
from componentbase.net.http1_exchange import HttpExchange
from componentbase.net.http1_server import HttpServer, ServerLimits
from componentbase.tasks import first_of
from kubelet.container.log_requests import BadLogRequest, log_container, parse_log_request
from kubelet.runtime.interface import EngineError, Runtime
from kubelet.server.authorization import AlwaysAllow, Authorizer, client_of
from kubelet.server.figures import Figures
from kubelet.server.sessions import ACTIONS, HttpRefusal, PodLookup, Sessions, find_pod, parse_query
from kubelet.server.stream.spdy.connection import DEFAULT_LIMITS, SpdyLimits
from kubelet.volume.folders import FolderKeeper, FolderRefusal

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"
PROTECTED = ("pods", "containerLogs", "stats", "metrics", "configz", "folders", *ACTIONS)
"""First parts of the paths that need an authorized client; health answers all others."""
LIMITS = ServerLimits(max_connections=512)  # followed logs, execs and probes
STALL_SECONDS = 4 * 3600.0  # a client that takes nothing of a log for so long is cut off

log = logs.logger(__name__)


class KubeletServer:
    """`health` answers /healthz, /livez and /readyz: add checks there."""

    def __init__(
        self,
        pods: PodLookup,
        runtime: Runtime,
        clock: Clock,
        figures: Figures,
        spdy_limits: SpdyLimits = DEFAULT_LIMITS,
        authorizer: Authorizer | None = None,
        folders: FolderKeeper | None = None,
    ) -> None:
        """Without an authorizer every client with a certificate may do everything."""
        self._authorizer = authorizer or AlwaysAllow()
        self._figures = figures
        self._pods = pods
        self._runtime = runtime
        self._clock = clock
        self._folders = folders
        self._sessions = Sessions(pods, runtime, spdy_limits)
        self.health = HealthHandler()

    async def run(self, host: str, port: int, context: ssl.SSLContext) -> None:
        """Serves until cancelled. Raises: OSError."""
        log.info("serving", address=host, port=port)
        await HttpServer(self, LIMITS).run(host, port, context)

    def __call__(self, exchange: HttpExchange) -> Awaitable[None] | None:
        """Answers probes and scrapes, and refuses clients without a certificate; the rest has to be awaited."""
        first = exchange.path.strip("/").partition("/")[0]
        verified = exchange.connection.certificate is not None
        if unquote(first) not in PROTECTED:
            status, content_type, body = self.health.respond(exchange.path, exchange.query_string, verified)
            _respond(exchange, status, content_type, body)
        elif not verified:
            _respond(exchange, 401, TEXT, b"Unauthorized")
        else:
            return self._serve(exchange)
        return None

    async def _serve(self, exchange: HttpExchange) -> None:
        try:
            await self._authorize(exchange)
            await self._answer(exchange)
        except HttpRefusal as refusal:
            _respond(exchange, refusal.status, TEXT, refusal.message.encode())
        except OSError:
            log.debug("connection of a client broke", path=exchange.path)

    async def _authorize(self, exchange: HttpExchange) -> None:
        """Raises: HttpRefusal."""
        certificate = exchange.connection.certificate
        assert certificate is not None, "the caller has looked"
        client, first = client_of(certificate), unquote(exchange.path.strip("/").partition("/")[0])
        try:
            why = await self._authorizer.refusal(client, exchange.method, first)
        except (StatusError, ConnectionError, TimeoutError) as error:
            log.warning("authorization failed", user=client.name, error=str(error))
            raise HttpRefusal(500, f"Authorization error (user={client.name})") from None
        if why:
            raise HttpRefusal(403, why)

    async def _answer(self, exchange: HttpExchange) -> None:
        path = [unquote(part) for part in exchange.path.strip("/").split("/")]
        if path[0] in ACTIONS:
            await self._sessions.serve(exchange)
            return
        if path[0] == "folders" and len(path) == 3 and self._folders is not None:
            _respond(exchange, 200, JSON, await self._change_folder(self._folders, exchange.method, path[1], path[2]))
            return
        if exchange.method != "GET":
            raise HttpRefusal(405, "Method Not Allowed")
        if path[0] == "containerLogs" and len(path) == 4:
            await self._logs(path[1], path[2], path[3], exchange)
        elif path == ["pods"]:
            items = b",".join(encode(pod) for pod in self._pods.all())
            _respond(exchange, 200, JSON, b'{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[%s]}' % items)
        elif (page := await self._page(path, exchange)) is not None:
            _respond(exchange, 200, *page)
        else:
            raise HttpRefusal(404, "404 page not found")

    @staticmethod
    async def _change_folder(folders: FolderKeeper, method: str, kind: str, name: str) -> bytes:
        try:
            if method == "PUT":
                return orjson.dumps({"path": await folders.make(kind, name)})
            if method == "DELETE":
                await folders.delete(kind, name)
                return b"{}"
        except FolderRefusal as refusal:
            raise HttpRefusal(refusal.status, refusal.message) from None
        raise HttpRefusal(405, "Method Not Allowed")

    async def _page(self, path: list[str], exchange: HttpExchange) -> tuple[str, bytes] | None:
        try:
            return await self._figures.answer(path, parse_query(exchange))
        except (EngineError, OSError) as error:
            raise HttpRefusal(500, str(error)) from None

    async def _logs(self, namespace: str, name: str, container: str, exchange: HttpExchange) -> None:
        pod, query = find_pod(self._pods, namespace, name), parse_query(exchange)
        try:
            request = parse_log_request({key: values[-1] for key, values in query.items()}, self._clock.now())
            status = await self._runtime.pod(pod.metadata.uid or "")
            source = log_container(pod, status, container, previous=request.previous)
        except BadLogRequest as error:
            raise HttpRefusal(400, str(error)) from None
        except EngineError as error:
            raise HttpRefusal(500, str(error)) from None
        exchange.begin(200, b"content-type: %b\r\n" % TEXT.encode(), None)
        left = request.limit_bytes

        async def copy() -> None:
            nonlocal left
            try:
                async with contextlib.aclosing(self._runtime.logs(source.id, request.options)) as chunks:
                    async for data in chunks:
                        if left is not None:
                            data, left = data[:left], left - len(data)
                        if exchange.blocked:
                            await exchange.drain(STALL_SECONDS)
                        exchange.write(data)
                        if left is not None and left <= 0:
                            return
            except EngineError as error:
                # The head is out: all that is left is to end. A container may be removed while it is read.
                log.info("log ended early", pod=f"{namespace}/{name}", container=container, error=str(error))

        await first_of(copy(), exchange.wait_closed())
        exchange.end()


def _respond(exchange: HttpExchange, status: int, content_type: str, body: bytes) -> None:
    exchange.respond(status, b"content-type: %b\r\n" % content_type.encode(), body)
