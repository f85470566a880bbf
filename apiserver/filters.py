"""What every request passes on its way in and out, whatever it asks for: an ASGI app around the API.

identity -> limits -> authorization -> handler; every failure becomes a Status, and nothing a handler raises escapes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from secrets import token_hex

from apimachinery.errors import (
    BadRequest,
    Expired,
    FieldError,
    GatewayTimeout,
    InternalError,
    ServiceUnavailable,
    StatusError,
)
from apiserver import authz
from apiserver.authn import ANONYMOUS, User, user_of_subject
from apiserver.context import Context
from apiserver.inflight import InFlight
from apiserver.messages import (
    Answer,
    AsgiApp,
    ClientDisconnected,
    Header,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    Stream,
    status_response,
)
from apiserver.request import READ_VERBS, RequestInfo, parse_request
from apiserver.requestmetrics import Key, RequestMetrics
from apiserver.routes import Route, Routes
from apiserver.storage.interface import (
    BadContinueToken,
    Compacted,
    RevisionTooLarge,
    StorageUnavailable,
)
from componentbase import logs

OPEN_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/version"})
OPEN_PREFIXES = ("/healthz/", "/livez/", "/readyz/")
NO_CACHE: Header = (b"cache-control", b"no-cache, private")
RETRY_SECONDS = 1  # in Retry-After of errors that pass by themselves

log = logs.logger(__name__)


class Filters:
    """The outermost app. `web` is the FastAPI app for everything that is no resource path."""

    def __init__(self, context: Context, web: AsgiApp, inflight: InFlight, metrics: RequestMetrics) -> None:
        self._context = context
        self._web = web
        self._routes = Routes(context)
        self._inflight = inflight
        self._metrics = metrics
        self._ids = count(1)
        self._id_prefix = f"{token_hex(4)}-{token_hex(2)}-4{token_hex(2)[1:]}-a{token_hex(2)[1:]}-"
        self._loop = asyncio.get_running_loop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        method, path = scope["method"], scope["path"]
        info = parse_request(method, path, watch=_asks_watch(scope["query_string"]))
        request = Request(scope, receive, info, ANONYMOUS, f"{self._id_prefix}{next(self._ids):012x}")
        if path in OPEN_PATHS or path.startswith(OPEN_PREFIXES):
            await self._web(scope, receive, send)
            return
        begin = self._loop.time()
        try:
            request.user = self._authenticate(scope)
            route = self._routes.find(info) if info.is_resource else None
            if route is not None and (route.long_running or info.verb == "watch"):
                await self._serve_long(request, route, send)
                return
            code = await self._serve_counted(request, route, send)
        except StatusError as error:
            code = await self._send(send, request, status_response(error))
            route = None
        except ClientDisconnected:
            return
        self._metrics.observe(_metric_key(info, route), code, self._loop.time() - begin)

    def _authenticate(self, scope: Scope) -> User:
        """The connection's certificate is read once; its user stays with the connection."""
        tls = scope.get("extensions", {}).get("tls", {})
        if "user" not in tls:
            tls["user"] = user_of_subject(tls.get("client_cert_subject", ()))
        return self._context.authenticator.authenticate(scope["headers"], tls["user"])

    async def _serve_counted(self, request: Request, route: Route | None, send: Send) -> int:
        write = request.info.verb not in READ_VERBS and request.method not in ("GET", "HEAD")
        self._inflight.enter(write=write)
        try:
            if route is None:
                return await self._serve_web(request, send)
            return await self._send(send, request, await self._answer(request, route))
        except asyncio.CancelledError:
            if not self._inflight.timed_out():
                raise
            raise GatewayTimeout("Timeout: request did not complete within the requested timeout", {}) from None
        finally:
            self._inflight.leave(write=write)

    async def _serve_long(self, request: Request, route: Route, send: Send) -> None:
        self._metrics.long_running += 1
        try:
            await self._send(send, request, await self._answer(request, route))
        finally:
            self._metrics.long_running -= 1

    async def _serve_web(self, request: Request, send: Send) -> int:
        """Hands the request to the FastAPI app; tells the code it answered with."""
        authz.check(self._context.authorizer, request.user, request.info)
        code = 200

        async def noting(message: dict[str, object]) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = int(str(message["status"]))
            await send(message)

        request.scope.setdefault("state", {})["user"] = request.user
        await self._web(request.scope, request._receive, noting)  # type: ignore[arg-type]
        return code

    async def _answer(self, request: Request, route: Route) -> Answer:
        """The handler's answer, or the Status of whatever it raised."""
        try:
            authz.check(self._context.authorizer, request.user, request.info)
            return await route.handler(self._context, request, route.target)
        except StatusError as error:
            return status_response(error)
        except Compacted as error:
            return status_response(Expired(str(error)), continue_token=error.continue_token)
        except ClientDisconnected:
            raise
        except Exception as error:
            return status_response(self._translate(error, request))

    def _translate(self, error: Exception, request: Request) -> StatusError:
        """Storage's failures as the API has them; anything else is a bug of ours, logged here and told as a 500."""
        if isinstance(error, RevisionTooLarge):
            cause = FieldError("ResourceVersionTooLarge", "", "Too large resource version")
            return GatewayTimeout(str(error), {}, [cause], RETRY_SECONDS)
        if isinstance(error, BadContinueToken):
            return BadRequest(str(error))
        if isinstance(error, StorageUnavailable):
            log.warning("storage unavailable", path=request.info.path, error=str(error))
            return ServiceUnavailable(f"the storage is not available: {error}", {}, [], RETRY_SECONDS)
        log.exception("request failed", error, path=request.info.path, verb=request.info.verb, audit=request.audit_id)
        return InternalError(f"Internal error occurred: {type(error).__name__} (audit id {request.audit_id})")

    async def _send(self, send: Send, request: Request, answer: Answer) -> int:
        if isinstance(answer, Response):
            await _send_whole(send, request, answer)
            return answer.status
        if isinstance(answer, Stream):
            return await self._send_stream(send, request, answer)
        return 101

    async def _send_stream(self, send: Send, request: Request, stream: Stream) -> int:
        headers = [(b"content-type", stream.content_type), NO_CACHE, (b"audit-id", request.audit_id.encode())]
        if stream.length is not None:
            headers.append((b"content-length", str(stream.length).encode()))
        if stream.gzip:
            headers += [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding")]
        gone, close = None, stream.close
        try:
            if stream.long_running and close is not None:
                self._context.closers.add(close)
                gone = asyncio.ensure_future(_until_gone(request, close))
            await send({"type": "http.response.start", "status": stream.status, "headers": headers})
            async for chunk in stream.chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            if gone is not None:
                gone.cancel()
            if close is not None:
                self._context.closers.discard(close)
                close()
        return stream.status


async def _until_gone(request: Request, close: Callable[[], None]) -> None:
    await request.disconnected()
    close()


async def _send_whole(send: Send, request: Request, response: Response) -> None:
    body = response.body
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", str(len(body)).encode()),
        NO_CACHE,
        (b"audit-id", request.audit_id.encode()),
    ]
    if response.headers:
        headers += response.headers
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _asks_watch(query_string: bytes) -> bool:
    if b"watch=" not in query_string and b"watch" not in query_string.split(b"&"):
        return False
    for pair in query_string.split(b"&"):
        name, _, value = pair.partition(b"=")
        if name == b"watch":
            return value.lower() not in (b"0", b"false")
    return False


def _metric_key(info: RequestInfo, route: Route | None) -> Key:
    if route is None:
        return (info.verb if info.is_resource else "other", "", "", "", "")
    return (info.verb, info.group, info.version, info.resource, info.subresource)
