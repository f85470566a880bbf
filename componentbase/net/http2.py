"""One HTTP/2 connection as a gRPC client needs it: many streams, flow control both ways, nothing else.

Everything asked for within one turn of the loop leaves in one write. Our header blocks are literals made once a method
(`header_block`) and we allow the peer no dynamic table, so equal answers are equal bytes and decoded once.
What arrives is bounded by the windows we grant, what leaves by the windows the peer grants and by WRITE_BUFFER_BYTES.
Source: RFC 9113 (HTTP/2), RFC 7541 (HPACK).
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import hpack

CONNECTION_WINDOW = 64 << 20  # the same for all streams together; given back as it arrives, so no stream starves others
READ_BYTES = 128 << 10  # taken from the transport at once; the rest waits in the kernel
WRITE_BUFFER_BYTES = 64 << 20  # not taken by the kernel; a peer that lets it fill up loses the connection
HEADER_BLOCK_BYTES = 64 << 10  # of one answer; a peer that sends more loses the connection
REMEMBERED_BLOCKS = 256  # decoded header blocks kept; when full, all are dropped

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, _PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = range(1, 6)
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR = 0, 1, 3, 6
REFUSED_STREAM, CANCEL = 7, 8

DEFAULT_WINDOW = 65_535
FRAME_BYTES = 16_384  # the longest frame we accept, and the least that any peer accepts
MAX_WINDOW = MAX_STREAM_ID = 2**31 - 1

FRAME = struct.Struct(">HBBBL")  # length / 256, length % 256, type, flags, stream
_LONG = struct.Struct(">L")
_SETTING = struct.Struct(">HL")


class Http2Error(Exception):
    """A stream or its connection broke. `unprocessed`: the peer has certainly not acted on the request."""

    def __init__(self, message: str, *, unprocessed: bool = False) -> None:
        super().__init__(message)
        self.unprocessed = unprocessed


class _BrokenPeer(Exception):
    """The peer does not keep to the protocol."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def header_block(headers: Sequence[tuple[str, str]]) -> bytes:
    """Encodes a block that any connection may send any number of times: it does not touch the dynamic table."""
    fields = [hpack.NeverIndexedHeaderTuple(name, value) for name, value in headers]
    block = hpack.Encoder().encode(fields, huffman=False)
    if len(block) > FRAME_BYTES:
        raise ValueError("request headers are larger than a frame")
    return block


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return FRAME.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream_id) + payload


def settings(values: Mapping[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*pair) for pair in values.items()))


class Http2Stream:
    """One request and its answer; a subclass handles what arrives. Its methods must not raise."""

    __slots__ = ("block", "done", "ends", "held", "id", "uncredited", "unsent", "window")

    def __init__(self) -> None:
        self.id = 0  # none yet: it waits for a slot
        self.block = b""
        self.unsent: bytes | memoryview = b""
        self.ends = True
        self.window = 0  # bytes we may still send
        self.uncredited = 0  # bytes received whose room has not been given back to the peer
        self.held = 0  # of them, what has not been read yet: its room is given back by `Http2Connection.release`
        self.done = True  # not open: not yet, or not any more

    def on_headers(self, headers: Mapping[str, str], last: bool) -> None:
        raise NotImplementedError

    def on_data(self, data: bytes, last: bool) -> None:
        raise NotImplementedError

    def on_failure(self, error: Http2Error) -> None:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Http2Limits:
    stream_window: int = 4 << 20
    """Bytes that a stream may have on its way or unread; when it is full the peer waits."""
    waiting_streams: int = 10_000
    """Calls that wait for one of the peer's slots to fall free; one more is refused."""
    keepalive_seconds: float = 10.0
    """Silence while a call is open, after which a PING asks whether the peer is there."""
    keepalive_timeout_seconds: float = 5.0
    """For any sign of life after that PING; then the connection is given up."""


DEFAULT_LIMITS = Http2Limits()


class Http2Connection(asyncio.BufferedProtocol):
    """The protocol of one transport. `ready` is done when the peer's SETTINGS are here, `lost` when all is over."""

    def __init__(self, limits: Http2Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._streams: dict[int, Http2Stream] = {}
        self._waiting: deque[Http2Stream] = deque()
        self._blocked: dict[int, Http2Stream] = {}  # started, with bytes that no window has room for
        self._next_id = 1
        self._draining = False
        self._out: list[bytes | memoryview] = []
        self._incoming = memoryview(bytearray(READ_BYTES))  # our own, as TLS would else allocate as much for each read
        self._rest = b""
        self._header_stream = 0  # whose header block goes on in the next frame
        self._header_flags = 0
        self._header_block = b""
        self._decoder = hpack.Decoder()
        self._decoded: dict[bytes, Mapping[str, str]] = {}
        self._uncredited = 0
        self._window = self._initial_window = DEFAULT_WINDOW  # what the peer lets us send
        self._frame_bytes = FRAME_BYTES
        self._max_streams = MAX_STREAM_ID  # no limit until the peer names one
        self._heard = 0.0
        self._pinged = 0.0
        self._watchdog: asyncio.TimerHandle | None = None

    @property
    def usable(self) -> bool:
        """Tells whether it takes new streams."""
        return not self._draining and self._transport is not None

    def open(self, stream: Http2Stream, block: bytes, body: bytes, *, ends: bool = True) -> None:
        """Starts a stream, as soon as the peer has a slot for it. `body` is not empty; `ends`: nothing follows it.

        Raises: Http2Error.
        """
        if not self.usable:
            raise Http2Error("the connection is closing", unprocessed=True)
        if len(self._waiting) >= self._limits.waiting_streams:
            raise Http2Error("too many calls wait for the peer", unprocessed=True)
        stream.block, stream.unsent, stream.ends, stream.done = block, body, ends, False
        if len(self._streams) < self._max_streams and not self._waiting:
            self._start(stream)
        else:
            self._waiting.append(stream)

    def cancel(self, stream: Http2Stream) -> None:
        """Resets a stream whose answer nobody waits for any more."""
        if stream.done:
            return
        if stream.id:
            self._write(frame(RST_STREAM, 0, stream.id, _LONG.pack(CANCEL)))
        self._forget(stream, reset=True)

    def release(self, stream: Http2Stream, size: int) -> None:
        """Tells that `size` bytes of what the stream holds have been read."""
        stream.held -= size
        self._credit(stream)

    async def close(self, limit_seconds: float) -> None:
        """Says goodbye and waits for the transport to end; open calls fail."""
        if self._transport is None:
            return
        self._give_up(NO_ERROR, "the connection was closed", abort=False)
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_seconds):
                await asyncio.shield(self.lost)
        self.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # Sending

    def _start(self, stream: Http2Stream) -> None:
        stream_id = stream.id = self._next_id
        self._next_id += 2
        if self._next_id > MAX_STREAM_ID:
            self._draining = True  # the next call takes another connection
        self._streams[stream_id] = stream
        stream.window = self._initial_window
        block = stream.block
        self._write(FRAME.pack(len(block) >> 8, len(block) & 0xFF, HEADERS, END_HEADERS, stream_id))
        self._out.append(block)
        size = len(stream.unsent)
        if size > self._window or size > stream.window or size > self._frame_bytes:
            stream.unsent = memoryview(stream.unsent)
            self._blocked[stream_id] = stream
        self._send(stream)

    def _send(self, stream: Http2Stream) -> None:
        """Sends as much as the windows have room for."""
        unsent = stream.unsent
        while unsent:
            room = min(self._window, stream.window, self._frame_bytes)
            if room <= 0:
                stream.unsent = unsent
                return
            size = len(unsent)
            flags = 0
            if size <= room:
                piece, unsent = unsent, b""
                flags = END_STREAM if stream.ends else 0
            else:
                piece, unsent = unsent[:room], unsent[room:]
                size = room
            self._window -= size
            stream.window -= size
            self._write(FRAME.pack(size >> 8, size & 0xFF, DATA, flags, stream.id))
            self._out.append(piece)
        stream.unsent = b""
        self._blocked.pop(stream.id, None)

    def _send_blocked(self) -> None:
        for stream in list(self._blocked.values()):
            if self._window <= 0:
                return
            self._send(stream)

    def _start_waiting(self) -> None:
        while self._waiting and len(self._streams) < self._max_streams and self.usable:
            self._start(self._waiting.popleft())

    def _write(self, data: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is not None and out:
            self._transport.write(b"".join(out))

    def _forget(self, stream: Http2Stream, *, reset: bool = False) -> None:
        """Ends our side of the stream. `reset`: both sides know already that nothing more comes from us."""
        stream.done = True
        if not stream.id:
            self._waiting.remove(stream)
            return
        self._streams.pop(stream.id, None)
        if self._blocked.pop(stream.id, None) or not stream.ends:
            stream.unsent = b""
            if not reset:
                self._write(frame(RST_STREAM, 0, stream.id, _LONG.pack(CANCEL)))
        if self._waiting:
            self._start_waiting()
        if self._draining and not self._streams and self._transport is not None:
            self._flush()
            self._transport.close()

    # The transport's events

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(
            asyncio.Transport, transport
        )  # uvloop's own class does not derive from asyncio's
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._heard = self._loop.time()
        self._watchdog = self._loop.call_later(self._limits.keepalive_seconds, self._watch_silence)
        ours = settings({HEADER_TABLE_SIZE: 0, ENABLE_PUSH: 0, INITIAL_WINDOW_SIZE: self._limits.stream_window})
        more = frame(WINDOW_UPDATE, 0, 0, _LONG.pack(CONNECTION_WINDOW - DEFAULT_WINDOW))
        transport.write(PREFACE + ours + more)

    def pause_writing(self) -> None:
        self._give_up(NO_ERROR, "the peer reads too slowly")

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._draining = True
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._fail_all(f"connection lost: {error}" if error else "connection closed by the peer")
        if not self.lost.done():
            self.lost.set_result(None)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._incoming

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._incoming[:nbytes]))

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        try:
            while end - at >= 9:
                high, low, kind, flags, stream_id = FRAME.unpack_from(data, at)
                size = high << 8 | low
                if size > FRAME_BYTES:
                    raise _BrokenPeer(FRAME_SIZE_ERROR, "a frame is too long")
                start = at + 9
                if start + size > end:
                    break
                at = start + size
                self._on_frame(kind, flags, stream_id & MAX_STREAM_ID, data[start:at])
            self._rest = data[at:]
        except _BrokenPeer as error:
            self._give_up(error.code, f"the peer broke the protocol: {error}")
        except (hpack.HPACKError, UnicodeDecodeError, struct.error, IndexError) as error:
            self._give_up(PROTOCOL_ERROR, f"the peer broke the protocol: {error}")

    def _watch_silence(self) -> None:
        """Runs when the silence may have become too long. etcd forbids PINGs without a call, so then there are none."""
        now = self._loop.time()
        delay = self._heard + self._limits.keepalive_seconds - now
        if delay <= 0:
            if self._transport is not None and self._transport.is_closing():
                self._transport.abort()  # what is left to write, nobody takes
                return
            if not self._streams:
                delay = self._limits.keepalive_seconds
            elif self._pinged <= self._heard:
                self._pinged = now
                self._write(frame(PING, 0, 0, bytes(8)))
                delay = self._limits.keepalive_timeout_seconds
            elif now - self._pinged >= self._limits.keepalive_timeout_seconds:
                self._give_up(NO_ERROR, "the peer does not answer")
                return
            else:
                delay = self._pinged + self._limits.keepalive_timeout_seconds - now
        self._watchdog = self._loop.call_later(delay, self._watch_silence)

    def _give_up(self, code: int, message: str, *, abort: bool = True) -> None:
        transport = self._transport
        self._draining = True
        self._rest = b""
        if transport is None or transport.is_closing():
            return
        self._write(frame(GOAWAY, 0, 0, _LONG.pack(0) + _LONG.pack(code)))
        self._flush()
        self._fail_all(message)
        if abort:
            transport.abort()
        else:
            transport.close()

    def _fail_all(self, message: str) -> None:
        streams, self._streams = self._streams, {}
        waiting, self._waiting = self._waiting, deque()
        self._blocked.clear()
        for stream in (*streams.values(), *waiting):
            stream.done = True
            stream.on_failure(Http2Error(message, unprocessed=not stream.id))
        if not self.ready.done():
            self.ready.set_exception(Http2Error(message, unprocessed=True))

    # Frames

    def _on_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._header_stream and (kind != CONTINUATION or stream_id != self._header_stream):
            raise _BrokenPeer(PROTOCOL_ERROR, "a header block was interrupted")
        if kind == DATA:
            self._on_data(flags, stream_id, payload)
        elif kind == HEADERS:
            payload = _unpadded(flags, payload)
            if flags & WITH_PRIORITY:
                payload = payload[5:]
            self._on_header_part(flags, stream_id, payload)
        elif kind == WINDOW_UPDATE:
            self._on_window_update(stream_id, _LONG.unpack(payload)[0] & MAX_WINDOW)
        elif kind == PING:
            if not flags & ACK:
                self._write(frame(PING, ACK, 0, payload))
        elif kind == RST_STREAM:
            self._on_reset(stream_id, _LONG.unpack(payload)[0])
        elif kind == SETTINGS:
            if not flags & ACK:
                self._on_settings(payload)
        elif kind == GOAWAY:
            self._on_goaway(_LONG.unpack_from(payload)[0] & MAX_STREAM_ID, payload[8:])
        elif kind == CONTINUATION:
            if not self._header_stream:
                raise _BrokenPeer(PROTOCOL_ERROR, "a header block goes on that never began")
            self._on_header_part(flags & END_HEADERS | self._header_flags & END_STREAM, stream_id, payload)
        elif kind == PUSH_PROMISE:
            raise _BrokenPeer(PROTOCOL_ERROR, "pushed what nobody asked for")

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        self._uncredited += size
        if self._uncredited > CONNECTION_WINDOW:
            raise _BrokenPeer(FLOW_CONTROL_ERROR, "more data than there is room for")
        if self._uncredited >= CONNECTION_WINDOW // 2:
            self._write(frame(WINDOW_UPDATE, 0, 0, _LONG.pack(self._uncredited)))
            self._uncredited = 0
        stream = self._streams.get(stream_id)
        if stream is None:
            return  # cancelled meanwhile
        stream.uncredited += size
        if stream.uncredited > self._limits.stream_window:
            raise _BrokenPeer(FLOW_CONTROL_ERROR, "more data on a stream than there is room for")
        last = bool(flags & END_STREAM)
        if last:
            self._forget(stream)
        stream.on_data(_unpadded(flags, payload) if flags & PADDED else payload, last)
        self._credit(stream)

    def _credit(self, stream: Http2Stream) -> None:
        """Gives room back to the peer once enough of it is free."""
        free = stream.uncredited - stream.held
        if free >= self._limits.stream_window // 4 and not stream.done:
            stream.uncredited -= free
            self._write(frame(WINDOW_UPDATE, 0, stream.id, _LONG.pack(free)))

    def _on_header_part(self, flags: int, stream_id: int, part: bytes) -> None:
        block = self._header_block + part
        if len(block) > HEADER_BLOCK_BYTES:
            raise _BrokenPeer(PROTOCOL_ERROR, "a header block is too long")
        if not flags & END_HEADERS:
            self._header_stream, self._header_flags, self._header_block = stream_id, flags, block
            return
        self._header_stream, self._header_block = 0, b""
        headers = self._decoded.get(block)
        if headers is None:
            headers = self._decode(block)
        stream = self._streams.get(stream_id)
        if stream is not None:
            last = bool(flags & END_STREAM)
            if last:
                self._forget(stream)
            stream.on_headers(headers, last)

    def _decode(self, block: bytes) -> Mapping[str, str]:
        """Decodes a header block, and caches it when the dynamic table stays empty: it always means the same then."""
        table = self._decoder.header_table
        empty = not table.dynamic_entries
        headers = {str(name): str(value) for name, value in self._decoder.decode(block)}
        if table.dynamic_entries or len(self._decoded) >= REMEMBERED_BLOCKS:
            self._decoded.clear()
        elif empty and block[0] & 0xE0 != 0x20:  # nor does it begin with a change of the table's size
            self._decoded[block] = headers
        return headers

    def _on_window_update(self, stream_id: int, increment: int) -> None:
        if not stream_id:
            self._window += increment
            if self._window > MAX_WINDOW:
                raise _BrokenPeer(FLOW_CONTROL_ERROR, "a window is too large")
            if self._blocked:
                self._send_blocked()
        elif stream := self._streams.get(stream_id):
            stream.window += increment
            if stream_id in self._blocked:
                self._send(stream)

    def _on_reset(self, stream_id: int, code: int) -> None:
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._forget(stream, reset=True)
            stream.on_failure(Http2Error(f"stream reset ({code})", unprocessed=code == REFUSED_STREAM))

    def _on_settings(self, payload: bytes) -> None:
        for name, value in _SETTING.iter_unpack(payload):
            if name == MAX_CONCURRENT_STREAMS:
                self._max_streams = value
            elif name == MAX_FRAME_SIZE:
                self._frame_bytes = max(FRAME_BYTES, min(value, 2**24 - 1))
            elif name == INITIAL_WINDOW_SIZE:
                if value > MAX_WINDOW:
                    raise _BrokenPeer(FLOW_CONTROL_ERROR, "a window is too large")
                for stream in self._streams.values():
                    stream.window += value - self._initial_window
                self._initial_window = value
        self._write(frame(SETTINGS, ACK, 0))
        if not self.ready.done():
            self.ready.set_result(None)
        self._send_blocked()
        self._start_waiting()

    def _on_goaway(self, last_id: int, reason: bytes) -> None:
        """Fails the streams that the peer has not begun; it still finishes the others."""
        self._draining = True
        message = f"the peer is going away: {reason.decode(errors='replace')}"
        dropped = [stream for stream in self._streams.values() if stream.id > last_id]
        for stream in (*dropped, *self._waiting):
            self._forget(stream, reset=True)
            stream.on_failure(Http2Error(message, unprocessed=True))
        if not self._streams and self._transport is not None:
            self._transport.close()


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & PADDED:
        return payload
    if payload[0] >= len(payload):
        raise _BrokenPeer(PROTOCOL_ERROR, "more padding than payload")
    return payload[1 : len(payload) - payload[0]]
