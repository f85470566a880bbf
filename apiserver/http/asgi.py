"""An ASGI app (the FastAPI routes beside the resources) on our HTTP server."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any

from apiserver.http.types import AsgiApp, Header, Scope
from componentbase.net.http1_exchange import BODYLESS, HttpExchange, status_line


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
            "server": exchange.connection.transport.get_extra_info("sockname")[:2],
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
        if exchange.blocked:
            await exchange.drain()
        exchange.write(body)
        if not more:
            exchange.end()

    def _lines(self, but: bytes = b"") -> bytes:
        return b"".join(b"%b: %b\r\n" % header for header in self._headers if header[0] != but)
