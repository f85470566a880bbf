"""Sends HTTP/1.1 requests to one server over a pool of kept-alive connections.

A stream has a connection to itself, outside the pool's bound: watches live for minutes and must not starve the rest.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from weakref import WeakSet

from componentbase.net.http1_client import (
    CONNECT_TIMEOUT_SECONDS,
    RESPONSE_TIMEOUT_SECONDS,
    ClientConnection,
    HttpResponse,
    ResponseStream,
    StaleConnection,
    connect,
)

IDLE_SECONDS = 300.0
"""A connection unused for longer is not trusted: firewalls forget it silently."""
SPARE_SECONDS = 20.0
"""Connections that a burst needed are closed after this long without use; the last one stays."""

_RETRIED = frozenset((b"GET", b"HEAD", b"OPTIONS"))
"""Methods sent again when a kept-alive connection turns out to be closed: nothing happens twice."""


class Http1Client:
    """Connections to one server. Failures to reach it are ConnectionError, silence is TimeoutError."""

    def __init__(
        self,
        host: str,
        port: int = 0,
        *,
        context: ssl.SSLContext | None = None,
        server_name: str = "",
        max_connections: int = 64,
        before_connect: Callable[[], None] = lambda: None,
        max_answer_bytes: int = 0,
    ) -> None:
        """`host` as in `connect`. `before_connect` may change `context`; it must not block. An answer whose body is
        longer than `max_answer_bytes` fails; 0 is no bound."""
        self._host, self._port = host, port
        self._context = context
        self._server_name = server_name
        self._max = max_connections
        self._before_connect = before_connect
        self._max_answer_bytes = max_answer_bytes
        self._open = 0
        self._idle: list[ClientConnection] = []
        self._waiters: deque[asyncio.Future[ClientConnection | None]] = deque()
        self._closed = False
        self._connections: WeakSet[ClientConnection] = WeakSet()

    async def exchange(
        self,
        method: bytes,
        data: bytes,
        timeout_seconds: float = RESPONSE_TIMEOUT_SECONDS,
        permit: Callable[[], None] | None = None,
    ) -> HttpResponse:
        """Sends `data`, a whole request (head and body), and returns the whole response.

        Raises: ConnectionError, TimeoutError; what `permit` raises, which is called once there is a connection.
        """
        without_body = method == b"HEAD"
        connection = self._take_idle() or await self._acquire()
        try:
            if permit is not None:
                permit()
            return await connection.request(data, timeout_seconds, without_body=without_body)
        except StaleConnection:
            if method not in _RETRIED:
                raise
        finally:
            self._release(connection)
        connection = await self._acquire(fresh=True)
        try:
            if permit is not None:
                permit()
            return await connection.request(data, timeout_seconds, without_body=without_body)
        finally:
            self._release(connection)

    async def open_stream(
        self, data: bytes, timeout_seconds: float = RESPONSE_TIMEOUT_SECONDS, *, may_switch: bool = False
    ) -> ResponseStream:
        """Sends a whole request and returns once the response's headers are there. Raises: as `exchange`."""
        connection = await self._connect()
        return await connection.start_stream(data, timeout_seconds, may_switch=may_switch)

    def retire(self) -> None:
        """Has later requests use new connections: ends idle ones and streams now, the others with their request."""
        for connection in self._connections:
            connection.retired = True
            if connection.stream is not None and connection.transport is not None:
                connection.transport.abort()  # whoever reads the stream sees a broken connection
        while self._idle:
            self._idle.pop().close()
            self._open -= 1

    async def aclose(self) -> None:
        """Closes the idle connections, and the others as they come back."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _take_idle(self) -> ClientConnection | None:
        oldest = asyncio.get_running_loop().time() - IDLE_SECONDS
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and connection.idle_since > oldest:
                return connection
            connection.close()
            self._open -= 1
        return None

    async def _acquire(self, fresh: bool = False) -> ClientConnection:
        """Returns an idle connection, a new one, or, at the bound, the next that is given back."""
        while True:
            if fresh:
                while self._idle and self._open >= self._max:
                    self._idle.pop().close()
                    self._open -= 1
            else:
                idle = self._take_idle()
                if idle is not None:
                    return idle
            if self._open < self._max:
                self._open += 1
                try:
                    return await self._connect()
                except BaseException:
                    self._open -= 1
                    self._wake_one(None)
                    raise
            waiter: asyncio.Future[ClientConnection | None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                returned = await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._give_back(waiter.result())
                raise
            if returned is not None:
                if not returned.closed and not fresh:
                    return returned
                returned.close()
                self._open -= 1

    def _release(self, connection: ClientConnection) -> None:
        if self._closed or connection.closed or connection.retired or not connection.keeps_alive:
            connection.close()
            self._open -= 1
            self._wake_one(None)
            return
        connection.idle_since = connection.loop.time()
        self._give_back(connection)
        # The list is a stack: at its bottom are those that were not needed for longest.
        while len(self._idle) > 1 and self._idle[0].idle_since < connection.idle_since - SPARE_SECONDS:
            self._idle.pop(0).close()
            self._open -= 1

    def _give_back(self, connection: ClientConnection | None) -> None:
        if not self._wake_one(connection) and connection is not None:
            self._idle.append(connection)

    def _wake_one(self, connection: ClientConnection | None) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False

    async def _connect(self) -> ClientConnection:
        if self._closed:
            raise ConnectionError("the client is closed")
        where = self._host if self._host.startswith("/") else f"{self._host}:{self._port}"
        self._before_connect()
        try:
            connection = await connect(self._host, self._port, tls=self._context, server_name=self._server_name)
        except TimeoutError:
            raise TimeoutError(f"no connection to {where} within {CONNECT_TIMEOUT_SECONDS:g}s") from None
        except ssl.SSLCertVerificationError as error:
            raise ConnectionError(f"the certificate of {where} is not trusted: {error.verify_message}") from error
        except ConnectionRefusedError:
            raise ConnectionRefusedError(f"the connection to {where} was refused") from None
        except OSError as error:  # resolving, routing, a failed handshake
            raise ConnectionError(f"no connection to {where}: {error}") from error
        connection.max_body_bytes = self._max_answer_bytes
        self._connections.add(connection)
        return connection
