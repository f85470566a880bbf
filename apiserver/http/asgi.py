"""ASGI both ways: an ASGI app on our HTTP server, and a handler of our HTTP server under an ASGI server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import MutableMapping, Sequence
from functools import cached_property
from hashlib import sha256
from typing import Any, cast
from urllib.parse import quote

from apiserver.http.types import MAX_BODY_BYTES, AsgiApp, ClientDisconnected, Header, Receive, Scope, Send
from componentbase.net.http1_exchange import (
    BODYLESS,
    STALL_SECONDS,
    Handler,
    HttpExchange,
    PeerCertificate,
    status_line,
)
from componentbase.tasks import alongside


async def answer_by_asgi(app: AsgiApp, exchange: HttpExchange, extra: Sequence[Header] = ()) -> int:
    """Lets the app answer, and returns the status code. `extra` headers are added where the app does not set them."""
    call = _AsgiCall(exchange, extra)
    await app(call.scope(), call.receive, call.send)
    return call.status


class _AsgiCall:
    def __init__(self, exchange: HttpExchange, extra: Sequence[Header]) -> None:
        self.status = 200
        self._exchange = exchange
        self._extra = extra
        self._headers: list[Header] = []
        self._body_received = False

    def scope(self) -> Scope:
        exchange = self._exchange
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "client": exchange.connection.client,
            "scheme": "https",
            "root_path": "",
            "method": exchange.method,
            "path": exchange.path,
            "raw_path": exchange.target.partition(b"?")[0],
            "query_string": exchange.query_string,
            "headers": exchange.headers,
            "state": {},
        }

    async def receive(self) -> MutableMapping[str, Any]:
        exchange = self._exchange
        if self._body_received:
            await exchange.wait_closed()
            return {"type": "http.disconnect"}
        piece = exchange.take()
        while not piece and exchange.more_body:
            if not await exchange.receive_more():
                return {"type": "http.disconnect"}
            piece = exchange.take()
        self._body_received = not exchange.more_body
        return {"type": "http.request", "body": piece, "more_body": exchange.more_body}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """The head waits for the first piece of the body: together they are one write."""
        exchange = self._exchange
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [(name.lower(), value) for name, value in message.get("headers", ())]
            names = {name for name, _ in headers}
            self._headers = headers + [header for header in self._extra if header[0] not in names]
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        if not exchange.response_started:
            if not more and self.status not in BODYLESS:
                exchange.respond(self.status, self._lines(b"content-length"), body)
                return
            chunked = self.status not in BODYLESS and all(name != b"content-length" for name, _ in self._headers)
            exchange.begin_with(status_line(self.status), self._lines(), chunked=chunked)
        exchange.write(body)
        if exchange.blocked:
            await exchange.drain()
        if not more:
            exchange.end()

    def _lines(self, but: bytes = b"") -> bytes:
        return b"".join(b"%b: %b\r\n" % header for header in self._headers if header[0] != but)


async def serve_asgi(handler: Handler, scope: Scope, receive: Receive, send: Send) -> None:
    """Lets a handler of our HTTP server answer a request that an ASGI server has taken."""
    exchange = AsgiExchange(scope, send)
    async with alongside(exchange.pump(receive)):
        with contextlib.suppress(ClientDisconnected):
            answering = handler(exchange)
            if answering is not None:
                exchange.task = cast("asyncio.Task[None]", asyncio.current_task())
                await answering
        await exchange.flush()


class AsgiConnection:
    """What an exchange asks of its connection, as far as an ASGI server tells it."""

    def __init__(self, scope: Scope) -> None:
        self.loop = asyncio.get_running_loop()
        self.client: tuple[str, int] | None = tuple(scope["client"]) if scope.get("client") else None
        self.identity: Any = None
        self.max_body_bytes = MAX_BODY_BYTES
        self.readable = asyncio.Event()
        self.readable.set()
        self._tls = (scope.get("extensions") or {}).get("tls") or {}

    @cached_property
    def certificate(self) -> PeerCertificate | None:
        """The client's, where the server has verified one and tells it by the `tls` extension of ASGI."""
        pem = next(iter(self._tls.get("client_cert_chain") or ()), None)
        if pem is None:
            return None
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding
        from cryptography.x509.oid import NameOID

        names = {NameOID.COMMON_NAME: "commonName", NameOID.ORGANIZATION_NAME: "organizationName"}
        certificate = x509.load_pem_x509_certificate(pem.encode())
        subject = tuple(((names[part.oid], str(part.value)),) for part in certificate.subject if part.oid in names)
        return PeerCertificate(subject, sha256(certificate.public_bytes(Encoding.DER)).hexdigest())

    def pause_reading(self) -> None:
        self.readable.clear()

    def resume_reading(self) -> None:
        self.readable.set()


class AsgiExchange(HttpExchange):
    """One request that an ASGI server has taken, for a handler of our own server.

    The handler's writes wait here until `flush` or `drain` passes them on: only those may be awaited.
    """

    def __init__(self, scope: Scope, send: Send) -> None:
        self._connection = AsgiConnection(scope)
        query = scope.get("query_string", b"")
        raw_path: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
        super().__init__(
            cast(Any, self._connection),  # the rest of a Connection is for those that write to it
            scope["method"],
            raw_path.partition(b"?")[0] + (b"?" + query if query else b""),
            scope["path"].removeprefix(scope.get("root_path", "")),
            query,
            [(name.lower(), value) for name, value in scope["headers"]],
            waiting_for_100=False,
            keep_alive=True,
        )
        self._messages: list[dict[str, Any]] = []
        self._send = send

    async def pump(self, receive: Receive) -> None:
        """Takes the request's body, as fast as it is read, and notices when the client leaves."""
        while True:
            await self._connection.readable.wait()
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone()
                return
            self.feed(message.get("body", b""))
            if not message.get("more_body", False):
                self.end_of_body()

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        if self.response_started:
            self.abort()
            return
        self.begin(status, headers, len(body))
        self.write(body)
        self.end()

    def begin_with(self, first_line: bytes, headers: bytes, *, chunked: bool) -> None:
        self.response_started = True
        pairs = [tuple(line.split(b": ", 1)) for line in headers.split(b"\r\n") if line]
        status = int(first_line.split(b" ", 2)[1])
        self._messages.append({"type": "http.response.start", "status": status, "headers": pairs})

    def write(self, piece: bytes) -> None:
        if piece and self.method != "HEAD":
            self._messages.append({"type": "http.response.body", "body": piece, "more_body": True})

    def end(self) -> None:
        self._complete = True
        self.on_gone = None
        last = self._messages[-1] if self._messages else {}
        if last.get("more_body"):
            last["more_body"] = False
        else:
            self._messages.append({"type": "http.response.body", "body": b"", "more_body": False})

    @property
    def blocked(self) -> bool:
        return bool(self._messages)

    async def drain(self, seconds: float = STALL_SECONDS) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.flush()
        except TimeoutError:
            self.abort()
            raise ClientDisconnected from None

    async def flush(self) -> None:
        messages, self._messages = self._messages, []
        for message in messages:
            if not self.disconnected:
                await self._send(message)

    def abort(self) -> None:
        """Leaves the answer without its end, which the ASGI server takes for a failure."""
        self.disconnected = True

    @property
    def can_switch(self) -> bool:
        """Another protocol on the connection is beyond an ASGI server's HTTP."""
        return False
