"""The HTTP/2 connection against scripted bytes: framing, flow control, slots, endings."""

from __future__ import annotations

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentbase.net import http2
from componentbase.net.http2 import Http2Error, Http2Limits, frame
from tests.kits.control_plane.http2 import (
    HEAD,
    OK,
    Notes,
    Recorder,
    answer,
    block,
    connected,
    number,
    split_frames,
    turn,
)
from tests.kits.eventually import eventually_async

BLOCK = block((":path", "/x"))
WHOLE = http2.END_HEADERS | http2.END_STREAM


def body_of(notes: Notes, stream: int) -> tuple[bytes, bool]:
    """(data sent on the stream since last asked, whether it ended)"""
    frames = [sent for sent in notes.frames() if sent.kind == http2.DATA and sent.stream == stream]
    assert all(len(sent.payload) <= http2.FRAME_BYTES for sent in frames)
    return b"".join(sent.payload for sent in frames), any(sent.flags & http2.END_STREAM for sent in frames)


async def test_calls_of_one_turn_leave_in_one_write() -> None:
    connection, notes = await connected()
    for body in (b"one", b"two", b"three"):
        connection.open(Recorder(), BLOCK, body)
    await turn()
    (written,) = notes.writes
    assert [(f.kind, f.flags, f.stream, f.payload) for f in split_frames(written)] == [
        part
        for stream, body in ((1, b"one"), (3, b"two"), (5, b"three"))
        for part in (
            (http2.HEADERS, http2.END_HEADERS, stream, BLOCK),
            (http2.DATA, http2.END_STREAM, stream, body),
        )
    ]


@given(st.lists(st.integers(min_value=1, max_value=60), min_size=1, max_size=30))
async def test_an_answer_may_be_cut_anywhere(sizes: list[int]) -> None:
    """Padded, with priority, its header block over three frames, unknown frames and a PING between."""
    trailers = (
        frame(http2.HEADERS, http2.END_STREAM, 1, OK[:3])
        + frame(http2.CONTINUATION, 0, 1, OK[3:5])
        + frame(http2.CONTINUATION, http2.END_HEADERS, 1, OK[5:])
    )
    data = (
        frame(http2.HEADERS, http2.END_HEADERS | http2.PADDED | http2.WITH_PRIORITY, 1, b"\2" + bytes(5) + HEAD + b"  ")
        + frame(0xEE, 0xFF, 1, b"unknown")
        + frame(http2.DATA, http2.PADDED, 1, b"\4hello    ")
        + frame(http2.PING, 0, 0, b"12345678")
        + frame(http2.DATA, 0, 1, b" world")
        + trailers
    )

    connection, notes = await connected()
    stream = Recorder()
    connection.open(stream, BLOCK, b"x")
    at, turns = 0, 0
    while at < len(data):
        size = sizes[turns % len(sizes)]
        connection.data_received(data[at : at + size])
        at, turns = at + size, turns + 1
    assert stream.data == b"hello world"
    assert [headers.get(":status") or headers.get("grpc-status") for headers in stream.headers] == ["200", "0"]
    assert stream.ended
    await turn()
    assert (http2.PING, http2.ACK, 0, b"12345678") in notes.frames()


async def test_equal_blocks_mean_what_the_peers_table_says() -> None:
    connection, _ = await connected()
    encoder = hpack.Encoder()  # one that uses a dynamic table all the same
    values = ["a", "a", "b", "a", "b", "c", "c"]
    streams = [Recorder() for _ in values]
    for number_, (stream, value) in enumerate(zip(streams, values, strict=True)):
        connection.open(stream, BLOCK, b"x")
        sent = encoder.encode([("x-one", value), ("x-two", "2")])
        connection.data_received(frame(http2.HEADERS, WHOLE, 2 * number_ + 1, sent))
        assert stream.headers == [{"x-one": value, "x-two": "2"}]


async def test_a_long_body_waits_for_room_on_the_stream_and_on_the_connection() -> None:
    connection, notes = await connected((http2.INITIAL_WINDOW_SIZE, 100_000))
    body = bytes(range(256)) * 1000
    connection.open(Recorder(), BLOCK, body)
    connection.open(Recorder(), BLOCK, b"small")
    await turn()
    sent, ended = body_of(notes, 1)
    assert len(sent) == http2.DEFAULT_WINDOW  # the connection's window is the narrower one
    connection.data_received(frame(http2.WINDOW_UPDATE, 0, 0, number(200_000)))
    await turn()
    frames = notes.frames()
    sent += b"".join(f.payload for f in frames if f.stream == 1)
    assert len(sent) == 100_000
    assert [f.payload for f in frames if f.stream == 3] == [b"small"]  # not held up by the stream that waits
    connection.data_received(http2.settings({http2.INITIAL_WINDOW_SIZE: 150_000}))
    await turn()
    more, ended = body_of(notes, 1)
    sent += more
    assert (len(sent), ended) == (150_000, False)
    connection.data_received(frame(http2.WINDOW_UPDATE, 0, 1, number(500_000)))
    await turn()
    more, ended = body_of(notes, 1)
    assert (sent + more, ended) == (body, True)


async def test_room_that_is_taken_back_is_not_used() -> None:
    connection, notes = await connected((http2.INITIAL_WINDOW_SIZE, 50_000))
    connection.open(Recorder(), BLOCK, bytes(70_000))
    connection.data_received(http2.settings({http2.INITIAL_WINDOW_SIZE: 10_000}))  # leaves -40,000
    connection.data_received(frame(http2.WINDOW_UPDATE, 0, 1, number(40_000)))
    await turn()
    assert len(body_of(notes, 1)[0]) == 50_000
    connection.data_received(frame(http2.WINDOW_UPDATE, 0, 1, number(100)))
    await turn()
    assert len(body_of(notes, 1)[0]) == 100


async def test_calls_wait_for_the_peers_slots_and_not_without_end() -> None:
    connection, notes = await connected((http2.MAX_CONCURRENT_STREAMS, 1), limits=Http2Limits(waiting_streams=2))
    first, second, third = streams = [Recorder() for _ in range(3)]
    for stream in streams:
        connection.open(stream, BLOCK, b"x")
    with pytest.raises(Http2Error) as caught:
        connection.open(Recorder(), BLOCK, b"x")
    assert caught.value.unprocessed
    await turn()
    assert {f.stream for f in notes.frames()} == {1}
    connection.cancel(second)  # it never got a slot: the peer hears nothing of it
    connection.data_received(answer(1, b"done"))
    await turn()
    assert first.ended
    assert third.id == 3
    assert {f.stream for f in notes.frames()} == {3}


async def test_an_early_answer_ends_what_is_still_to_be_sent() -> None:
    connection, notes = await connected()
    stream = Recorder()
    connection.open(stream, BLOCK, bytes(1 << 20))
    await turn()
    notes.frames()
    connection.data_received(frame(http2.HEADERS, WHOLE, 1, OK))
    connection.data_received(frame(http2.WINDOW_UPDATE, 0, 0, number(1 << 20)))
    await turn()
    assert stream.ended
    assert [f.kind for f in notes.frames()] == [http2.RST_STREAM]


async def test_room_is_given_back_as_it_is_read() -> None:
    connection, notes = await connected()
    reading, unread = Recorder(), Recorder(reads=False)
    for stream in (reading, unread):
        connection.open(stream, BLOCK, b"x")
    await turn()
    notes.frames()
    given = {1: 0, 3: 0}
    piece = bytes(http2.FRAME_BYTES)
    for _ in range(http2.DEFAULT_LIMITS.stream_window // len(piece)):
        connection.data_received(frame(http2.DATA, 0, 1, piece) + frame(http2.DATA, 0, 3, piece))
        await turn()
        for update in notes.frames():
            assert update.kind == http2.WINDOW_UPDATE
            given[update.stream] += int.from_bytes(update.payload, "big")
    assert given == {1: http2.DEFAULT_LIMITS.stream_window, 3: 0}
    connection.release(unread, http2.DEFAULT_LIMITS.stream_window // 2)
    await turn()
    (update,) = notes.frames()
    assert (update.stream, update.payload) == (3, number(http2.DEFAULT_LIMITS.stream_window // 2))
    connection.data_received(frame(http2.DATA, 0, 3, piece) * (http2.DEFAULT_LIMITS.stream_window // 2 // len(piece)))
    connection.data_received(frame(http2.DATA, 0, 3, b"too much"))
    assert notes.closed == "aborted"
    assert isinstance(unread.error, Http2Error)


async def test_the_connections_room_is_given_back_for_cancelled_streams_too() -> None:
    connection, notes = await connected()
    stream = Recorder()
    connection.open(stream, BLOCK, b"x")
    connection.cancel(stream)
    await turn()
    assert notes.frames()[-1] == (http2.RST_STREAM, 0, 1, number(http2.CANCEL))
    piece = frame(http2.DATA, 0, 1, bytes(http2.FRAME_BYTES))
    for _ in range(2 * http2.CONNECTION_WINDOW // http2.FRAME_BYTES):
        connection.data_received(piece)
    await turn()
    given = sum(int.from_bytes(f.payload, "big") for f in notes.frames() if f.stream == 0)
    assert given >= http2.CONNECTION_WINDOW
    assert stream.data == b""
    assert not notes.closed


async def test_a_peer_that_goes_away_finishes_what_it_began() -> None:
    connection, notes = await connected((http2.MAX_CONCURRENT_STREAMS, 2))
    begun, ignored, waiting = streams = [Recorder() for _ in range(3)]
    for stream in streams:
        connection.open(stream, BLOCK, b"x")
    connection.data_received(frame(http2.GOAWAY, 0, 0, number(1) + number(0) + b"restart"))
    assert not connection.usable
    with pytest.raises(Http2Error):
        connection.open(Recorder(), BLOCK, b"x")
    for stream in (ignored, waiting):
        assert stream.error is not None
        assert stream.error.unprocessed
        assert "restart" in str(stream.error)
    assert not notes.closed
    connection.data_received(answer(1, b"last"))
    assert begun.data[5:] == b"last"
    assert notes.closed == "closed"


@pytest.mark.parametrize(("code", "unprocessed"), [(http2.REFUSED_STREAM, True), (http2.CANCEL, False)])
async def test_a_reset_fails_its_stream_alone(code: int, unprocessed: bool) -> None:
    connection, _ = await connected()
    reset, other = Recorder(), Recorder()
    connection.open(reset, BLOCK, b"x")
    connection.open(other, BLOCK, b"x")
    connection.data_received(frame(http2.RST_STREAM, 0, 1, number(code)) + answer(3, b"fine"))
    assert reset.error is not None
    assert reset.error.unprocessed is unprocessed
    assert other.data[5:] == b"fine"


async def test_a_lost_connection_leaves_open_whether_a_call_was_acted_on() -> None:
    connection, _ = await connected((http2.MAX_CONCURRENT_STREAMS, 1))
    started, waiting = Recorder(), Recorder()
    connection.open(started, BLOCK, b"x")
    connection.open(waiting, BLOCK, b"x")
    connection.connection_lost(ConnectionResetError("reset"))
    assert started.error is not None
    assert waiting.error is not None
    assert (started.error.unprocessed, waiting.error.unprocessed) == (False, True)
    assert connection.lost.done()


async def test_a_silent_peer_is_asked_and_then_given_up() -> None:
    limits = Http2Limits(keepalive_seconds=0.02, keepalive_timeout_seconds=0.05)
    _, idle_notes = await connected(limits=limits)
    connection, notes = await connected(limits=limits)
    stream = Recorder()
    connection.open(stream, BLOCK, b"x", ends=False)
    for _ in range(3):
        await eventually_async(lambda: any(f.kind == http2.PING for f in notes.frames()))
        connection.data_received(frame(http2.PING, http2.ACK, 0, bytes(8)))
    assert not notes.closed
    await eventually_async(lambda: notes.closed)
    assert "does not answer" in str(stream.error)
    assert idle_notes.frames() == []  # no call, no PING


async def test_a_peer_that_takes_nothing_is_given_up() -> None:
    connection, notes = await connected()
    stream = Recorder()
    connection.open(stream, BLOCK, b"x")
    connection.pause_writing()
    assert notes.closed == "aborted"
    assert "too slowly" in str(stream.error)


async def test_a_connection_out_of_stream_numbers_is_replaced() -> None:
    connection, notes = await connected()
    connection._next_id = http2.MAX_STREAM_ID
    stream = Recorder()
    connection.open(stream, BLOCK, b"x")
    assert not connection.usable
    connection.data_received(answer(http2.MAX_STREAM_ID, b"last"))
    assert stream.data[5:] == b"last"
    assert notes.closed == "closed"


@pytest.mark.parametrize(
    "data",
    [
        http2.FRAME.pack(0xFF, 0xFF, http2.DATA, 0, 1),
        frame(http2.PUSH_PROMISE, http2.END_HEADERS, 1, number(2)),
        frame(http2.CONTINUATION, http2.END_HEADERS, 1, OK),
        frame(http2.HEADERS, 0, 1, OK) + frame(http2.PING, 0, 0, bytes(8)),
        frame(http2.HEADERS, 0, 1, bytes(16_384)) + frame(http2.CONTINUATION, 0, 1, bytes(16_384)) * 4,
        frame(http2.DATA, http2.PADDED, 1, b"\x09short"),
        frame(http2.DATA, http2.PADDED, 1, b""),
        frame(http2.HEADERS, WHOLE, 1, b"\xff\xff\xff\xff"),
        frame(http2.HEADERS, WHOLE, 1, b""),
        frame(http2.WINDOW_UPDATE, 0, 0, number(http2.MAX_WINDOW)),
        frame(http2.WINDOW_UPDATE, 0, 0, b"1"),
        frame(http2.SETTINGS, 0, 0, b"12345"),
        frame(http2.RST_STREAM, 0, 1, b""),
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    ],
)
async def test_what_is_no_http2_ends_the_connection(data: bytes) -> None:
    connection, notes = await connected()
    stream = Recorder()
    connection.open(stream, BLOCK, b"x")
    connection.data_received(data)
    assert notes.closed == "aborted"
    assert notes.frames()[-1].kind == http2.GOAWAY
    assert stream.error is not None
    assert not connection.usable
