"""Joins a client's connections to ports inside a pod's network namespace.

Over SPDY (directly or tunnelled in a WebSocket) the client opens a pair of streams for each connection, with the same
`requestid`: "error", which carries the message of a failure, and "data". Over a WebSocket with channels there is one
connection for each port of the query: channel 2i carries its data and 2i+1 its errors, and each begins with the port's
number.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from componentbase import logs
from componentbase.net.http1_exchange import ClientDisconnected
from componentbase.net.websocket_channels import ChannelSocket
from componentbase.tasks import alongside
from kubelet.runtime.interface import EngineError
from kubelet.server.stream.spdy.connection import ByteStream, SpdyConnection, SpdyLimits, SpdyStream, StreamReset
from kubelet.server.stream.spdy.frames import SpdyError

PROTOCOL = "portforward.k8s.io"
READ_BYTES = 64 * 1024
CLOSING_SECONDS = 1.0  # for the client to end its half once the pod has ended its own
CHANNEL_BYTES = 256 * 1024  # waiting for one port of a WebSocket; more, and nothing is read until it has gone
MAX_PORTS = 127  # of one WebSocket: two channels each, and a channel is a byte

log = logs.logger(__name__)

Dial = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""Connects to a port inside the pod. Raises: EngineError, OSError."""


@dataclass(frozen=True, slots=True)
class Forwarder:
    """`pod` is how messages name it."""

    pod: str
    dial: Dial

    async def open(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Raises: Failed."""
        try:
            return await self.dial(port)
        except (EngineError, OSError) as error:
            raise Failed(f"error forwarding port {port} to pod {self.pod}: {error}") from None


class Failed(Exception):
    """A connection could not be made; the text is for the client."""


class BadPorts(Exception):
    """The query does not name ports that can be forwarded; an HTTP 400."""


def parse_ports(query: Mapping[str, Sequence[str]]) -> list[int]:
    """Reads the ports of a WebSocket with channels: `port=80,443` or `port=80&port=443`. Raises: BadPorts."""
    values = [*query.get("port", ()), *query.get("ports", ())]
    if not values:
        raise BadPorts('query parameter "port" is required')
    ports = []
    for text in ",".join(values).split(","):
        if not text:
            raise BadPorts('query parameter "port" cannot be empty')
        ports.append(port := _parse_port(text))
        if not port:
            raise BadPorts(f'unable to parse "{text}" as a port')
    if len(ports) > MAX_PORTS:
        raise BadPorts(f"too many ports: {len(ports)}, at most {MAX_PORTS} can be forwarded")
    return ports


def _parse_port(text: str) -> int:
    """Returns 0 for anything but a port number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 and int(text) < 65536 else 0


# --- SPDY


@dataclass(frozen=True, slots=True)
class _Pair:
    streams: dict[str, SpdyStream]
    timer: asyncio.TimerHandle


class SpdyForward:
    """All connections that one client forwards."""

    def __init__(self, transport: ByteStream, forwarder: Forwarder, limits: SpdyLimits) -> None:
        self._forwarder = forwarder
        self._pair_seconds = limits.pair_seconds
        self._connection = SpdyConnection(transport, self._take, limits)
        self._pairs: dict[str, _Pair] = {}  # whose second stream is still to come
        self._tasks: asyncio.TaskGroup

    async def run(self) -> None:
        """Returns when the client has left, and its connections into the pod are closed."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._connection.run()
                raise ClientDisconnected
        except* ClientDisconnected:
            log.debug("client of a port-forward left")
        except* SpdyError as errors:
            log.info("a client of a port-forward did not speak SPDY", error=str(errors.exceptions[0]))
        except* OSError:
            log.debug("connection of a port-forward broke")
        finally:
            for pair in self._pairs.values():
                pair.timer.cancel()

    def _take(self, stream: SpdyStream) -> None:
        kind, port = stream.headers.get("streamtype", ""), _parse_port(stream.headers.get("port", ""))
        # Clients from before request ids number the data stream right after its error stream.
        request = stream.headers.get("requestid") or f"#{stream.number - 2 * (kind == 'data')}"
        pair = self._pairs.get(request)
        if kind not in ("error", "data") or not port or (pair and kind in pair.streams):
            self._tasks.create_task(_quietly(stream.reset()))
        elif pair is None:
            timer = asyncio.get_running_loop().call_later(self._pair_seconds, self._give_up, request)
            self._pairs[request] = _Pair({kind: stream}, timer)
        else:
            del self._pairs[request]
            pair.timer.cancel()
            streams = {**pair.streams, kind: stream}
            self._tasks.create_task(_quietly(self._forward(streams["data"], streams["error"], port)))

    def _give_up(self, request: str) -> None:
        for stream in self._pairs.pop(request).streams.values():
            self._tasks.create_task(_quietly(stream.reset()))

    async def _forward(self, data: SpdyStream, error: SpdyStream, port: int) -> None:
        error.discard()
        try:
            reader, writer = await self._forwarder.open(port)
        except Failed as failed:
            await error.write(str(failed).encode())
        else:
            try:
                await _join(data, reader, writer)
            finally:
                writer.close()
        finally:
            data.discard()
        await data.close()
        await error.close()


async def _quietly(work: Awaitable[None]) -> None:
    """Lets a broken connection end itself alone."""
    with contextlib.suppress(StreamReset, OSError):
        await work


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Raises: OSError, also where uvloop would take the write for an error of the program's."""
    if writer.is_closing():
        raise ConnectionResetError("closed by the pod")
    writer.write(data)
    await writer.drain()


async def _join(stream: SpdyStream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Returns when the pod has ended its side, or either breaks. A client that ends its half still gets the answer."""

    async def upload() -> bool:
        """Returns True when the client has ended its half in order."""
        with contextlib.suppress(StreamReset, OSError):
            while data := await stream.read():
                await _write(writer, data)
            if not writer.is_closing():
                writer.write_eof()
            return True
        return False

    async def download() -> None:
        with contextlib.suppress(StreamReset, OSError):
            while data := await reader.read(READ_BYTES):
                await stream.write(data)
            await stream.close()

    async with alongside(upload()) as up, alongside(download()) as down:
        await asyncio.wait([up, down], return_when=asyncio.FIRST_COMPLETED)
        if down.done():
            await asyncio.wait([up], timeout=CLOSING_SECONDS)
        elif up.result():
            await asyncio.wait([down])


# --- WebSocket channels


class ChannelForward:
    """One connection for each port. Raises nothing; ends when the client leaves or every port is over."""

    def __init__(self, socket: ChannelSocket, forwarder: Forwarder, ports: Sequence[int]) -> None:
        self._socket = socket
        self._forwarder = forwarder
        self._ports = ports
        self._input = [_Inbox() for _ in ports]

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(self._read())
                for index, port in enumerate(self._ports):
                    for channel in (2 * index, 2 * index + 1):
                        await self._socket.send(channel, port.to_bytes(2, "little"))
                forwards = [tasks.create_task(self._forward(index, port)) for index, port in enumerate(self._ports)]
                await asyncio.wait(forwards)
                reading.cancel()
            await self._socket.close()
        except* ClientDisconnected:
            log.debug("client of a port-forward left")
        except* OSError:
            log.debug("connection of a port-forward broke")

    async def _read(self) -> None:
        while True:
            channel, data = await self._socket.receive()
            if channel % 2 == 0 and 0 <= channel < 2 * len(self._ports):
                await self._input[channel // 2].put(data)

    async def _forward(self, index: int, port: int) -> None:
        try:
            reader, writer = await self._forwarder.open(port)
        except Failed as failed:
            await self._socket.send(2 * index + 1, str(failed).encode())
            self._input[index].close()
            return

        async def upload() -> None:
            while data := await self._input[index].get():
                await _write(writer, data)

        try:
            async with alongside(_quietly(upload())):
                with contextlib.suppress(ConnectionError):
                    while data := await reader.read(READ_BYTES):
                        await self._socket.send(2 * index, data)
        finally:
            self._input[index].close()
            writer.close()


class _Inbox:
    """Bytes on their way to one port; `put` waits while CHANNEL_BYTES are there. One puts, one gets."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._changed = asyncio.Event()
        self._closed = False

    async def put(self, data: bytes) -> None:
        while len(self._data) >= CHANNEL_BYTES:
            self._changed.clear()
            await self._changed.wait()
        if not self._closed:
            self._data += data
            self._changed.set()

    async def get(self) -> bytes:
        """Waits for data and returns all of it."""
        while not self._data:
            self._changed.clear()
            await self._changed.wait()
        data = bytes(self._data)
        self._data.clear()
        self._changed.set()
        return data

    def close(self) -> None:
        """Drops what comes from now on."""
        self._closed = True
        self._data.clear()
        self._changed.set()
