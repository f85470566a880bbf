"""The one way of a request through the server: identify -> authorize -> route -> limit -> handle.

All but the last two are plain calls, made as soon as the head is there; what is left, if anything, is a task. Whoever
may not ask takes no place among the requests in flight. Every failure becomes a Status, and nothing a handler raises
escapes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from secrets import token_hex
from typing import TypeVar

from apimachinery.errors import (
    BadRequest,
    Expired,
    FieldError,
    GatewayTimeout,
    InternalError,
    ServiceUnavailable,
    StatusError,
)
from apiserver.audit.auditor import Auditor
from apiserver.auth.authentication.authenticator import Authenticator, UnknownToken, read_credentials
from apiserver.auth.authorization import authorizer as authz
from apiserver.auth.authorization.authorizer import Authorizer
from apiserver.auth.impersonation import impersonate
from apiserver.flowcontrol.control import FlowControl
from apiserver.handlers._shared import RETRY_SECONDS, revision_too_large
from apiserver.http.asgi import answer_by_asgi
from apiserver.http.rendering import rendered
from apiserver.http.types import AsgiApp, ClientDisconnected
from apiserver.pipeline.inflight import InFlight
from apiserver.pipeline.metrics import Key, RequestMetrics
from apiserver.pipeline.routes import Route, Routes, not_served
from apiserver.pipeline.turns import LARGE_BYTES, LargeWork
from apiserver.request.info import RequestInfo, parse_request
from apiserver.request.message import JSON, Answer, Answered, AuditRecord, Request, Response, Stream, status_response
from apiserver.request.user import User
from apiserver.storage.interface import (
    BadContinueToken,
    Compacted,
    NotStored,
    RevisionTooLarge,
    StorageUnavailable,
    UnreadableObject,
)
from componentbase import logs
from componentbase.net.http1_exchange import HttpExchange

OPEN_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/version"})
OPEN_PREFIXES = ("/healthz/", "/livez/", "/readyz/")
JSON_HEAD = b"content-type: application/json\r\n"
END_STEP_SECONDS = 0.05
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

log = logs.logger(__name__)

T = TypeVar("T")


class Pipeline:
    """Serves each request of the HTTP server. `web` is the FastAPI app for everything that is not a resource."""

    def __init__(
        self,
        authenticator: Authenticator,
        authorizer: Authorizer,
        routes: Routes,
        web: AsgiApp,
        limits: InFlight,
        metrics: RequestMetrics,
        flows: FlowControl | None = None,
        auditor: Auditor | None = None,
        elsewhere: Callable[[Request], Route | None] = lambda request: None,
    ) -> None:
        """`flows` is API priority and fairness; it and `auditor` are None where they are turned off. `elsewhere` gives
        the way of a request that another server answers."""
        self._metrics = metrics
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._routes = routes
        self._web = web
        self._web_route = Route(self._serve_web)
        self._limits = limits
        self._flows = flows
        self._auditor = auditor
        self._elsewhere = elsewhere
        self._large_work = LargeWork()
        self._long_running: set[HttpExchange] = set()
        self._ending = False
        self._ids = count(1)
        self._id_prefix = f"{token_hex(4)}-{token_hex(2)}-4{token_hex(2)[1:]}-a{token_hex(2)[1:]}-".encode()
        self._loop = asyncio.get_running_loop()

    def __call__(self, exchange: HttpExchange) -> Awaitable[None] | None:
        """Identifies, routes and authorizes; answers at once what needs no waiting, else returns what is left to do."""
        path = exchange.path
        is_open = path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)
        if is_open and self._auditor is None:
            return self._serve_open(exchange)
        begin = self._loop.time()
        request = Request(exchange, b"%b%012x" % (self._id_prefix, next(self._ids)))
        request.info = parse_request(exchange.method, path, watch=request.asks_watch)
        if is_open:
            return self._serve_open_audited(request)
        try:
            user, impersonates = self._identify(exchange)
        except StatusError as error:
            return self._refuse(request, None, error, begin)
        except Exception as error:
            return self._refuse(request, None, self._translate(error, request), begin)
        if isinstance(user, UnknownToken):
            identified = self._authenticator.user_of(user)
            return self._after(
                request, begin, identified, lambda user: self._serve_sender(request, user, impersonates, begin)
            )
        return self._serve_sender(request, user, impersonates, begin)

    def _serve_sender(self, request: Request, sender: User, impersonates: bool, begin: float) -> Awaitable[None] | None:
        """As `__call__`, for a request whose sender is known."""
        if self._auditor is not None:
            self._auditor.begin(request, sender)
        if not impersonates:
            return self._serve_user(request, sender, begin)
        impersonated = impersonate(request.exchange.headers, sender, self._authorizer)
        return self._after(request, begin, impersonated, lambda user: self._serve_user(request, user, begin))

    def _serve_user(self, request: Request, user: User, begin: float) -> Awaitable[None] | None:
        """As `__call__`, for the request of this user."""
        request.user = user
        try:
            if self._auditor is not None and request.audit is not None and user.impersonator is not None:
                self._auditor.runs_as(request.audit, user)
            if self._flows is not None:
                request.head += self._flows.flow(request).head
            pending = authz.check(self._authorizer, user, request.asked_info)
        except StatusError as error:
            return self._refuse(request, None, error, begin)
        except Exception as error:
            return self._refuse(request, None, self._translate(error, request), begin)
        if pending is not None:
            return self._after(request, begin, pending, lambda _: self._serve_authorized(request, begin))
        return self._serve_authorized(request, begin)

    def _serve_authorized(self, request: Request, begin: float) -> Awaitable[None] | None:
        info, exchange = request.info, request.exchange
        route: Route | None = None
        try:
            if self._auditor is not None and request.audit is not None:
                self._auditor.authorized(request.audit)
            route = self._elsewhere(request)
            if route is None:
                route = self._routes.find(info) if info.is_resource else self._web_route
            if route.answer_now is not None and (body := route.answer_now(request)):
                exchange.respond(200, JSON_HEAD + request.head, body)
                if request.audit is not None:
                    request.audit.note_response(body)
                self._done(request, route, 200, begin)
                return None
        except StatusError as error:
            return self._refuse(request, route, error, begin)
        except Exception as error:
            return self._refuse(request, route, self._translate(error, request), begin)
        return self._serve(request, route, begin)

    async def _after(
        self, request: Request, begin: float, step: Awaitable[T], go_on: Callable[[T], Awaitable[None] | None]
    ) -> None:
        """Waits for a step that another server may have a part in, and goes on with what it gives."""
        try:
            result = await step
        except StatusError as error:
            await self._refuse(request, None, error, begin)
            return
        except Exception as error:
            await self._refuse(request, None, self._translate(error, request), begin)
            return
        if (rest := go_on(result)) is not None:
            await rest

    async def end_long_running(self, seconds: float) -> None:
        """Ends every watch, log and exec, spread over so many seconds: their clients go on elsewhere, not all at once.

        One that begins later ends at once.
        """
        self._ending = True
        waiting = list(self._long_running)
        steps = min(len(waiting), max(int(seconds / END_STEP_SECONDS), 1))
        for step in range(steps):
            for exchange in waiting[step::steps]:
                if exchange.on_gone is not None:
                    exchange.on_gone()
                elif exchange.response_complete and exchange.task is not None:
                    exchange.task.cancel()  # an exec: its connection has been taken over
            if step + 1 < steps:
                await asyncio.sleep(seconds / steps)

    def _identify(self, exchange: HttpExchange) -> tuple[User | UnknownToken, bool]:
        """Also returns whether the request is to run in another user's name.

        The connection remembers whom its client's certificate stands for. Raises: Unauthorized.
        """
        connection = exchange.connection
        identity = connection.identity
        if identity is None and (certificate := connection.certificate) is not None:
            identity = connection.identity = self._authenticator.identity(certificate)
        authorization, impersonates = read_credentials(exchange.headers)
        user = self._authenticator.authenticate(authorization, exchange.headers, identity, exchange.path)
        return user, impersonates

    async def _serve_open(self, exchange: HttpExchange) -> None:
        await answer_by_asgi(self._web, exchange)

    async def _serve_open_audited(self, request: Request) -> None:
        assert self._auditor is not None
        self._auditor.begin(request, request.user)
        code = await answer_by_asgi(self._web, request.exchange)
        self._auditor.tell(request, "ResponseComplete", code)

    def _done(self, request: Request, route: Route | None, code: int, begin: float) -> None:
        """Counts the request and tells the audit that its answer is complete."""
        self._metrics.observe(_metric_key(request.info, route), code, self._loop.time() - begin)
        if request.audit is not None and self._auditor is not None:
            self._auditor.tell(request, "ResponseComplete", code)

    async def _serve_web(self, request: Request) -> Answered:
        common = [(name, value) for name, _, value in (line.partition(b": ") for line in request.head.splitlines())]
        return Answered(await answer_by_asgi(self._web, request.exchange, common))

    async def _serve(self, request: Request, route: Route, begin: float) -> None:
        try:
            if route.long_running:
                await self._serve_long(request, route)
                return
            code = await self._seated(request, route, self._serve_within)
        except StatusError as error:
            await self._refuse(request, route, error, begin)
            return
        self._done(request, route, code, begin)

    async def _refuse(self, request: Request, route: Route | None, error: StatusError, begin: float) -> None:
        if request.exchange.response_started:
            request.exchange.abort()  # a second head would be read as a part of the body
            return
        if self._auditor is not None:
            self._auditor.refused(request, error)
        code = await self._send(request, status_response(error))
        self._done(request, route, code, begin)

    async def _seated(self, request: Request, route: Route, serve: Callable[[Request, Route], Awaitable[T]]) -> T:
        """Serves once priority and fairness lets the request through. Raises: TooManyRequests."""
        if (flows := self._flows) is None:
            return await serve(request, route)
        ticket = flows.arrive(request)
        if ticket.began is None:
            await flows.wait(ticket)
        try:
            if ticket.seats > 1:
                await self._large_work.turn()
            return await serve(request, route)
        finally:
            flows.leave(ticket)

    async def _serve_within(self, request: Request, route: Route) -> int:
        """Serves within the time that a request may take. Raises: TooManyRequests, GatewayTimeout."""
        write = request.method not in READ_METHODS
        exchange = request.exchange
        self._limits.enter(exchange, write=write)
        try:
            answer = await self._handle(request, route)
            if isinstance(answer, Stream):
                self._limits.stop_clock(exchange)
            return await self._send(request, answer)
        except asyncio.CancelledError:
            if not self._limits.timed_out(exchange):
                raise
            raise GatewayTimeout("Timeout: request did not complete within the requested timeout", {}) from None
        finally:
            self._limits.leave(exchange, write=write)

    async def _serve_long(self, request: Request, route: Route) -> None:
        self._long_running.add(request.exchange)
        self._metrics.long_running += 1
        try:
            if request.info.verb == "watch":  # it has a seat while it is made, not while it lasts
                answer = await self._seated(request, route, self._handle)
            else:
                answer = await self._handle(request, route)
            if request.audit is None or self._auditor is None:
                await self._send(request, answer)
                return
            self._auditor.tell(request, "ResponseStarted", answer.status)
            try:
                await self._send(request, answer)
            finally:
                self._auditor.tell(request, "ResponseComplete", answer.status)
        finally:
            self._long_running.discard(request.exchange)
            self._metrics.long_running -= 1

    async def _handle(self, request: Request, route: Route) -> Answer:
        """The handler's answer, or the Status of whatever it raised."""
        try:
            return await route.handler(request)
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
        if isinstance(error, NotStored):
            return not_served()
        if isinstance(error, RecursionError):
            return BadRequest("the request's body is nested too deeply")
        if isinstance(error, BadContinueToken):
            return BadRequest(f"invalid continue token: {error}")
        if isinstance(error, UnreadableObject):
            return InternalError(f"Internal error occurred: {error}", {}, [FieldError("", "", str(error))])
        if isinstance(error, StorageUnavailable):
            log.warning("storage unavailable", path=request.info.path, error=str(error))
            return ServiceUnavailable(f"the storage is not available: {error}", {}, [], RETRY_SECONDS)
        log.exception(
            "request failed", error, path=request.info.path, verb=request.info.verb, audit=request.audit_id.decode()
        )
        return InternalError(f"Internal error occurred: {type(error).__name__} (audit id {request.audit_id.decode()})")

    async def _send(self, request: Request, answer: Answer) -> int:
        exchange = request.exchange
        if isinstance(answer, Response):
            body, content_type = answer.body, answer.content_type
            if request.audit is not None:
                request.audit.note_response(body)
            if content_type is JSON:
                representation = request.representation_for_error
                if representation.pretty or representation.format != "json":
                    body, content_type = await rendered(body, representation)
            headers = b"content-type: %b\r\n%b" % (content_type, request.head)
            for name, value in answer.headers or ():
                headers += b"%b: %b\r\n" % (name, value)
            if len(body) < LARGE_BYTES:
                exchange.respond(answer.status, headers, body)
                return answer.status
            async with self._large_work:
                exchange.respond(answer.status, headers, body)
            self._limits.stop_clock(exchange)
            if exchange.blocked:
                await exchange.drain()  # its seat is taken until the client has read it
            return answer.status
        if isinstance(answer, Stream):
            await self._send_stream(request, answer)
            return answer.status
        return answer.status

    async def _send_stream(self, request: Request, stream: Stream) -> None:
        headers = b"content-type: %b\r\n%b" % (stream.content_type, request.head)
        if stream.gzip:
            headers += b"content-encoding: gzip\r\nvary: Accept-Encoding\r\n"
        exchange, close = request.exchange, stream.close
        chunks = stream.chunks
        if request.audit is not None and close is None:  # an object or a list, not a watch
            request.audit.gzip, chunks = stream.gzip, _noted(chunks, request.audit)
        try:
            if exchange.disconnected:
                raise ClientDisconnected  # before `on_gone` could tell: a watch would go on until its time is over
            if close is not None:
                exchange.on_gone = close
                if self._ending:
                    close()  # its answer ends before its first piece
            exchange.begin(stream.status, headers, stream.length)
            if exchange.blocked:
                await exchange.drain(stream.patience_seconds)
            async for chunk in chunks:
                if len(chunk) < LARGE_BYTES:
                    exchange.write(chunk)
                else:
                    async with self._large_work:
                        exchange.write(chunk)
                if exchange.blocked:
                    await exchange.drain(stream.patience_seconds)
            exchange.end()
        finally:
            if close is not None:
                close()


async def _noted(chunks: AsyncIterator[bytes], record: AuditRecord) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        record.note_response(chunk)
        yield chunk


def _metric_key(info: RequestInfo, route: Route | None) -> Key:
    if route is None or not info.is_resource:
        return (info.verb if info.is_resource else "other", "", "", "", "")
    if route.foreign:
        return (info.verb, info.group, info.version, "", "")
    return (info.verb, info.group, info.version, info.resource, info.subresource)
