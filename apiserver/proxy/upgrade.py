"""Joins the client of an exec, attach or port-forward to the kubelet: bytes are passed on in both directions.

Client and kubelet negotiate themselves whether these are WebSocket or SPDY, and which protocol is inside.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from apimachinery.errors import BadRequest
from apiserver.handlers._shared import Target
from apiserver.main.context import Context
from apiserver.proxy.kubelet import refusal
from apiserver.request.message import Answer, Request, TakenOver
from apiserver.request.query import Query, parse_bool
from apiserver.subresources._podtarget import choose_container, find_pod
from componentbase.net.http1_client import ResponseStream
from componentbase.net.http1_exchange import response_head
from componentbase.net.raw import RawConnection
from componentbase.tasks import first_of

IDLE_SECONDS = 4 * 3600.0  # a stream that nobody reads, or that carries nothing, is ended after this
STREAMS = (("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty"))
"""The query's name of each and the kubelet's."""
OWN_HEADERS = frozenset({b"host", b"authorization", b"content-length", b"transfer-encoding"})
"""Not passed on: the kubelet authenticates this server, not its client."""


async def connect_container(context: Context, request: Request, target: Target, action: str, query: str) -> Answer:
    """Joins the client to `/ACTION/POD/CONTAINER?QUERY` of the pod's kubelet; returns when either side has closed."""
    check_upgrade(request)
    pod = await find_pod(context, request, target)
    return await connect(context, request, pod, action, choose_container(pod, request.parameter("container")), query)


async def connect(
    context: Context, request: Request, pod: Any, action: str, container: str = "", query: str = ""
) -> Answer:
    """Does the same for a pod at hand; "" stands for no container."""
    if not pod.spec.nodeName:
        raise BadRequest(f"pod {pod.name} does not have a host assigned")
    location = context.kubelet.locate(pod.spec.nodeName)
    path = "/".join(quote(part) for part in (action, pod.namespace, pod.name, container) if part)
    headers = [header for header in request.headers if header[0] not in OWN_HEADERS]
    response = await context.kubelet.open(location, f"/{path}?{query}", headers, may_switch=True)
    if response.status != 101:
        raise await refusal(response)
    await join(context, request, response)
    return TakenOver()


def check_upgrade(request: Request) -> None:
    """Raises: BadRequest."""
    if not request.header(b"upgrade") or b"upgrade" not in request.header(b"connection").lower():
        raise BadRequest("Upgrade request required")


def stream_query(query: Query) -> list[tuple[str, str]]:
    """Translates the streams that the client asks for into the kubelet's query. Raises: BadRequest for none."""
    pairs = [(theirs, "1") for ours, theirs in STREAMS if parse_bool(query, ours)]
    if not any(name in ("input", "output", "error") for name, _ in pairs):
        raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
    return pairs


async def join(context: Context, request: Request, response: ResponseStream) -> None:
    """Passes on the answer, and then every byte, until either side closes or nothing has moved for IDLE_SECONDS."""
    client, server = request.exchange.take_over(), response.take_over()
    up, down = _Pump(client, server), _Pump(server, client)

    def close() -> None:
        server.close()
        client.close()

    context.closers.add(close)
    try:
        await client.write(response_head(101, response.headers))
        await first_of(up.run(), down.run(), _idle(up, down))
    except OSError:
        return  # the client has left before it got the answer
    finally:
        context.closers.discard(close)
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
