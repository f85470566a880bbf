"""What every request passes on its way in and out, whatever it asks for.

identity -> limits -> authorization -> handler; every failure becomes a Status, and nothing a handler raises escapes.
"""

from __future__ import annotations

import asyncio
from itertools import count
from secrets import token_hex

from apimachinery.errors import (
    BadRequest,
    Expired,
    GatewayTimeout,
    InternalError,
    ServiceUnavailable,
    StatusError,
)
from apiserver.auth import authorizer as authz
from apiserver.handlers._shared import RETRY_SECONDS, revision_too_large
from apiserver.handlers.get import get, get_now
from apiserver.http.asgi import answer_by_asgi
from apiserver.http.rendering import rendered
from apiserver.http.types import AsgiApp, ClientDisconnected
from apiserver.main.context import Context
from apiserver.pipeline.inflight import InFlight
from apiserver.pipeline.metrics import Key, RequestMetrics
from apiserver.pipeline.routes import Route, Routes
from apiserver.request.info import RequestInfo, parse_request
from apiserver.request.message import JSON, Answer, Request, Response, Stream, status_response
from apiserver.request.user import ANONYMOUS, User, user_of_subject
from apiserver.storage.interface import (
    BadContinueToken,
    Compacted,
    RevisionTooLarge,
    StorageUnavailable,
)
from componentbase import logs
from componentbase.net.http1_exchange import HttpExchange

OPEN_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/version"})
OPEN_PREFIXES = ("/healthz/", "/livez/", "/readyz/")
COMMON_HEAD = b"cache-control: no-cache, private\r\naudit-id: %b\r\n"
JSON_HEAD = b"content-type: application/json\r\n" + COMMON_HEAD
FROM_MEMORY = b"resourceVersion=0"
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

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
        self._id_prefix = f"{token_hex(4)}-{token_hex(2)}-4{token_hex(2)[1:]}-a{token_hex(2)[1:]}-".encode()
        self._loop = asyncio.get_running_loop()

    def answer_now(self, exchange: HttpExchange) -> bool:
        """A plain GET of an object that may come from memory: no waiting, so no task."""
        if exchange.method != "GET" or exchange.query_string != FROM_MEMORY:
            return False
        begin = self._loop.time()
        info = parse_request("GET", exchange.path)
        if not info.name or info.verb != "get":
            return False
        try:
            route = self._routes.find(info)
            user = self._authenticate(exchange)
            authz.check(self._context.authorizer, user, info)
        except StatusError:
            return False  # the usual way says why not
        answer = route.handler is get and get_now(self._context, exchange.headers, info, route.target)
        if not answer:
            return False
        exchange.respond(200, JSON_HEAD % self._next_id(), answer)
        self._metrics.observe(_metric_key(info, route), 200, self._loop.time() - begin)
        return True

    async def __call__(self, exchange: HttpExchange) -> None:
        path = exchange.path
        info = parse_request(exchange.method, path, watch=_asks_watch(exchange.query_string))
        request = Request(exchange, info, ANONYMOUS, self._next_id().decode())
        if path in OPEN_PATHS or path.startswith(OPEN_PREFIXES):
            await answer_by_asgi(self._web, exchange)
            return
        begin = self._loop.time()
        route: Route | None = None
        try:
            request.user = self._authenticate(exchange)
            route = self._routes.find(info) if info.is_resource else None
            if route is not None and route.long_running:
                await self._serve_long(request, route)
                return
            code = await self._serve_counted(request, route)
        except StatusError as error:
            if exchange.response_started:
                exchange.abort()  # a second head would be read as a part of the body
                return
            code = await self._send(request, status_response(error))
        except ClientDisconnected:
            return
        self._metrics.observe(_metric_key(info, route), code, self._loop.time() - begin)

    def _next_id(self) -> bytes:
        return b"%b%012x" % (self._id_prefix, next(self._ids))

    def _authenticate(self, exchange: HttpExchange) -> User:
        """The connection's certificate is read once; its user stays with the connection."""
        connection = exchange.connection
        user = connection.identity
        if user is None and (certificate := connection.certificate) is not None:
            user = connection.identity = user_of_subject(certificate.subject, certificate.digest)
        return self._context.authenticator.authenticate(exchange.headers, user)

    async def _serve_counted(self, request: Request, route: Route | None) -> int:
        write = request.method not in READ_METHODS
        exchange = request.exchange
        self._inflight.enter(exchange, write=write)
        try:
            if route is None:
                return await self._serve_web(request)
            answer = await self._answer(request, route)
            if isinstance(answer, Stream):
                self._inflight.stop_clock(exchange)
            return await self._send(request, answer)
        except asyncio.CancelledError:
            if not self._inflight.timed_out(exchange):
                raise
            raise GatewayTimeout("Timeout: request did not complete within the requested timeout", {}) from None
        finally:
            self._inflight.leave(exchange, write=write)

    async def _serve_long(self, request: Request, route: Route) -> None:
        self._metrics.long_running += 1
        try:
            await self._send(request, await self._answer(request, route))
        finally:
            self._metrics.long_running -= 1

    async def _serve_web(self, request: Request) -> int:
        """Hands the request to the FastAPI app; tells the code it answered with."""
        authz.check(self._context.authorizer, request.user, request.info)
        common = ((b"cache-control", b"no-cache, private"), (b"audit-id", request.audit_id.encode()))
        try:
            return await answer_by_asgi(self._web, request.exchange, common)
        except Exception as error:
            if request.exchange.response_started:
                raise
            raise self._translate(error, request) from None

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
            return revision_too_large(error)
        if isinstance(error, RecursionError):
            return BadRequest("the request's body is nested too deeply")
        if isinstance(error, BadContinueToken):
            return BadRequest(f"invalid continue token: {error}")
        if isinstance(error, StorageUnavailable):
            log.warning("storage unavailable", path=request.info.path, error=str(error))
            return ServiceUnavailable(f"the storage is not available: {error}", {}, [], RETRY_SECONDS)
        log.exception("request failed", error, path=request.info.path, verb=request.info.verb, audit=request.audit_id)
        return InternalError(f"Internal error occurred: {type(error).__name__} (audit id {request.audit_id})")

    async def _send(self, request: Request, answer: Answer) -> int:
        exchange = request.exchange
        if isinstance(answer, Response):
            body, content_type = answer.body, answer.content_type
            if content_type is JSON and ((wanted := request.wanted_for_error).pretty or wanted.format != "json"):
                body, content_type = await rendered(body, wanted)
            headers = b"content-type: %b\r\n%b" % (content_type, COMMON_HEAD % request.audit_id.encode())
            for name, value in answer.headers or ():
                headers += b"%b: %b\r\n" % (name, value)
            exchange.respond(answer.status, headers, body)
            return answer.status
        if isinstance(answer, Stream):
            await self._send_stream(request, answer)
            return answer.status
        return 101

    async def _send_stream(self, request: Request, stream: Stream) -> None:
        headers = b"content-type: %b\r\n%b" % (stream.content_type, COMMON_HEAD % request.audit_id.encode())
        if stream.gzip:
            headers += b"content-encoding: gzip\r\nvary: Accept-Encoding\r\n"
        exchange, close = request.exchange, stream.close
        try:
            if close is not None:
                self._context.closers.add(close)
                exchange.on_gone = close
            exchange.begin(stream.status, headers, stream.length)
            async for chunk in stream.chunks:
                if exchange.blocked:
                    await exchange.drain(stream.patience_seconds)
                exchange.write(chunk)
            exchange.end()
        finally:
            if close is not None:
                self._context.closers.discard(close)
                close()


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
