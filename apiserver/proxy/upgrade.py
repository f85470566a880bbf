"""Joins the client of an exec, attach or port-forward to the kubelet: bytes are passed on in both directions.

Client and kubelet negotiate themselves whether these are WebSocket or SPDY, and which protocol is inside.
"""

from __future__ import annotations

import asyncio

from apimachinery.errors import BadRequest, StatusError
from apiserver.request.message import Request
from apiserver.request.query import Query, parse_bool
from componentbase.net.http1_client import ResponseStream
from componentbase.net.http1_exchange import response_head
from componentbase.net.raw import RawConnection
from componentbase.tasks import first_of

NO_SWITCH = "exec, attach, port-forward and upgrades through a proxy need the API server's own HTTP server, not ASGI"
IDLE_SECONDS = 4 * 3600.0  # a stream that nobody reads, or that carries nothing, is ended after this
STREAMS = (("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty"))
"""The query's name of each and the kubelet's."""
OWN_HEADERS = frozenset({b"host", b"authorization", b"content-length", b"transfer-encoding"})
"""Not passed on: the kubelet authenticates this server, not its client."""


def check_upgrade(request: Request) -> None:
    """Raises: BadRequest; NotImplemented under a server that can't switch protocols."""
    if not request.exchange.can_switch:
        raise StatusError(NO_SWITCH, code=501, reason="NotImplemented")
    if not request.header(b"upgrade") or b"upgrade" not in request.header(b"connection").lower():
        raise BadRequest("Upgrade request required")


def stream_query(query: Query) -> list[tuple[str, str]]:
    """Translates the streams that the client asks for into the kubelet's query. Raises: BadRequest for none."""
    pairs = [(theirs, "1") for ours, theirs in STREAMS if parse_bool(query, ours)]
    if not any(name in ("input", "output", "error") for name, _ in pairs):
        raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
    return pairs


async def join(request: Request, response: ResponseStream) -> None:
    """Passes on the answer, and then every byte, until either side closes or nothing has moved for IDLE_SECONDS."""
    client, server = request.exchange.take_over(), response.take_over()
    up, down = _Pump(client, server), _Pump(server, client)

    def close() -> None:
        server.close()
        client.close()

    request.exchange.on_gone = close
    try:
        await client.write(response_head(101, response.headers))
        await first_of(up.run(), down.run(), _idle(up, down))
    except OSError:
        return  # the client has left before it got the answer
    finally:
        request.exchange.on_gone = None
        close()


async def _idle(*pumps: _Pump) -> None:
    """Returns when nothing has moved for IDLE_SECONDS."""
    before = -1
    while before != (moved := sum(pump.moved for pump in pumps)):
        before = moved
        await asyncio.sleep(IDLE_SECONDS)


class _Pump:
    """Copies one direction, no faster than the sink takes it."""

    def __init__(self, source: RawConnection, sink: RawConnection) -> None:
        self.moved = 0  # reads so far
        self._source = source
        self._sink = sink

    async def run(self) -> None:
        """Returns when the source ends or either side breaks."""
        try:
            while data := await self._source.read():
                self.moved += 1
                await self._sink.write(data)
        except OSError:
            return
