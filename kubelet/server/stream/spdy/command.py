"""Serves exec and attach over SPDY, as kubectl up to 1.30 speaks it: a stream per channel, named by `streamtype`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from componentbase import logs
from componentbase.net.http1_exchange import ClientDisconnected
from componentbase.net.websocket_channels import ERROR, RESIZE, STDERR, STDIN, STDOUT
from componentbase.tasks import alongside, first_of
from kubelet.runtime.interface import Session
from kubelet.server.stream.spdy.connection import ByteStream, SpdyConnection, SpdyStream, StreamReset
from kubelet.server.stream.spdy.frames import SpdyError
from kubelet.server.stream.streaming import RemoteCommand, StreamOptions, Take
from kubelet.server.stream.websocket import last_words

PROTOCOLS = {"v4.channel.k8s.io": 4, "v3.channel.k8s.io": 3, "v2.channel.k8s.io": 2, "channel.k8s.io": 1}
"""Value of the X-Stream-Protocol-Version header, the best first -> version."""
TYPES = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}
STREAMS_SECONDS = 30.0  # for the client to open all its streams
LINGER_SECONDS = 10.0  # for the client to read the last words and close: closing first could lose them
MAX_RESIZE_BYTES = 4096  # of one message

log = logs.logger(__name__)


def choose_protocol(offered: Sequence[str]) -> str | None:
    """Picks the best protocol in common, or None; the oldest for a client that names none."""
    if not offered:
        return "channel.k8s.io"
    return next((name for name in PROTOCOLS if name in offered), None)


def expected_types(requested: StreamOptions, version: int) -> set[str]:
    """Names the streams that a client opens."""
    flags = {
        "stdin": requested.stdin,
        "stdout": requested.stdout,
        "stderr": requested.stderr,
        "resize": requested.tty and version >= 3,
    }
    return {"error"} | {name for name, is_set in flags.items() if is_set}


class SpdyChannels:
    """Implements `streaming.Channels`."""

    def __init__(self, streams: dict[int, SpdyStream], version: int, gone: asyncio.Future[None]) -> None:
        """`gone` is done when the connection is."""
        self._streams = streams
        self._version = version
        self._gone = gone

    async def pump(self, take: Take) -> None:
        async with asyncio.TaskGroup() as tasks:
            if STDIN in self._streams:
                tasks.create_task(self._pump_stdin(self._streams[STDIN], take))
            if RESIZE in self._streams:
                tasks.create_task(self._pump_sizes(self._streams[RESIZE], take))
            await asyncio.wait([self._gone])
            raise ClientDisconnected

    async def _pump_stdin(self, stream: SpdyStream, take: Take) -> None:
        try:
            while data := await stream.read():
                await take(STDIN, data)
        except StreamReset:
            pass  # the same as its end; whether the client is gone tells the connection
        await take(STDIN, None)

    async def _pump_sizes(self, stream: SpdyStream, take: Take) -> None:
        """Passes on JSON documents, which come one after another."""
        text = ""
        try:
            while data := await stream.read():
                *documents, text = _split_documents(text + data.decode("utf-8", "replace"))
                for document in documents:
                    await take(RESIZE, document.encode())
                text = text[-MAX_RESIZE_BYTES:]
        except StreamReset:
            return

    async def send(self, channel: int, data: bytes) -> None:
        if channel in self._streams:
            try:
                await self._streams[channel].write(data)
            except StreamReset:
                if self._gone.done():
                    raise ClientDisconnected from None
                # This stream alone: the client wants no more of it, and the command goes on.

    async def finish(self, status: dict[str, Any]) -> None:
        try:
            for channel in (STDIN, RESIZE):
                if channel in self._streams:
                    self._streams[channel].discard()
            for channel in (STDOUT, STDERR):
                if channel in self._streams:
                    await self._streams[channel].close()
            await self._streams[ERROR].write(last_words(self._version, status))
            for stream in self._streams.values():
                await stream.close()
        except StreamReset:
            raise ClientDisconnected from None
        await asyncio.wait([self._gone], timeout=LINGER_SECONDS)


async def serve(
    transport: ByteStream, version: int, session: Session, requested: StreamOptions, options: StreamOptions
) -> None:
    """Returns when the command has ended or the client has left. `requested` tells which streams to wait for."""
    opened: asyncio.Queue[SpdyStream] = asyncio.Queue()
    async with alongside(_run(SpdyConnection(transport, opened.put_nowait))) as running:
        streams = await _collect(opened, expected_types(requested, version), running)
        if streams is not None:
            await RemoteCommand(SpdyChannels(streams, version, running), session, options).run()


async def _run(connection: SpdyConnection) -> None:
    try:
        await connection.run()
    except SpdyError as error:
        log.info("a client of an exec or attach did not speak SPDY", error=str(error))
    except OSError:
        log.debug("connection of an exec or attach broke")


async def _collect(
    opened: asyncio.Queue[SpdyStream], expected: set[str], gone: asyncio.Future[None]
) -> dict[int, SpdyStream] | None:
    """Returns all expected streams by channel; None when the client has left or does not open them. Raises: OSError."""
    streams: dict[int, SpdyStream] = {}

    async def collect() -> None:
        while not {TYPES[name] for name in expected} <= streams.keys():
            stream = await opened.get()
            channel = TYPES.get(stream.headers.get("streamtype", ""))
            if channel is None or channel in streams:
                await stream.reset()
            else:
                streams[channel] = stream

    try:
        async with asyncio.timeout(STREAMS_SECONDS):
            return streams if await first_of(collect(), asyncio.wait([gone])) == 0 else None
    except TimeoutError:
        return None


def _split_documents(text: str) -> list[str]:
    """Returns the complete JSON documents of a text, and last the rest of it."""
    decoder, documents = json.JSONDecoder(), []
    while text := text.lstrip():
        try:
            _, end = decoder.raw_decode(text)
        except ValueError:
            break
        documents.append(text[:end])
        text = text[end:]
    return [*documents, text]
