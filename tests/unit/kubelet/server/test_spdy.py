"""SPDY/3.1 frames: what kubectl sends is understood, and nothing a hostile client sends costs much."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet.server.stream.spdy import frames as spdy
from kubelet.server.stream.spdy.frames import DICTIONARY, Frame, Framer, SpdyError


def control(kind: int, body: bytes, flags: int = 0, version: int = 3) -> bytes:
    return struct.pack("!II", 0x80000000 | version << 16 | kind, flags << 24 | len(body)) + body


def block(headers: list[tuple[bytes, bytes]], *, count: int | None = None) -> bytes:
    text = struct.pack("!I", len(headers) if count is None else count)
    for pair in headers:
        for part in pair:
            text += struct.pack("!I", len(part)) + part
    packer = zlib.compressobj(zdict=DICTIONARY)
    return packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH)


def test_the_dictionary_is_the_one_that_every_client_has() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


@given(st.lists(st.integers(1, 40)))
def test_frames_survive_any_cut(cuts: list[int]) -> None:
    writer, reader = Framer(), Framer()
    sent = writer.syn_stream(1, {"streamtype": "error", "port": "80"}, fin=True)
    sent += writer.syn_stream(3, {"streamtype": "data"})
    sent += spdy.data_frame(3, b"hello") + spdy.data_frame(3, b"", fin=True) + spdy.ping_frame(7)
    sent += writer.syn_reply(3, {}) + spdy.reset_frame(3, spdy.CANCEL) + spdy.goaway_frame(3)
    found: list[Frame] = []
    for size in [*cuts, len(sent)]:
        found += reader.feed(sent[:size])
        sent = sent[size:]
    data = [frame for frame in found if frame.kind == 0]
    assert b"".join(frame.data for frame in data) == b"hello"
    assert [frame.fin for frame in data][-1]
    assert [frame for frame in found if frame.kind] == [
        Frame(spdy.SYN_STREAM, 1, True, headers={"streamtype": "error", "port": "80"}),
        Frame(spdy.SYN_STREAM, 3, headers={"streamtype": "data"}),
        Frame(spdy.PING, number=7),
        Frame(spdy.SYN_REPLY, 3, headers={}),
        Frame(spdy.RST_STREAM, 3, number=spdy.CANCEL),
        Frame(spdy.GOAWAY, 3),
    ]


def test_the_end_of_a_data_frame_that_comes_in_pieces_is_with_its_last() -> None:
    framer = Framer()
    sent = spdy.data_frame(1, b"abcdef", fin=True)
    assert list(framer.feed(sent[:10])) == [Frame(0, 1, False, b"ab")]
    assert list(framer.feed(sent[10:])) == [Frame(0, 1, True, b"cdef")]


def test_a_name_in_capitals_and_several_values_are_taken() -> None:
    body = struct.pack("!IIxx", 5, 0) + block([(b"StreamType", b"data\0other")])
    assert next(Framer().feed(control(spdy.SYN_STREAM, body))).headers == {"streamtype": "data"}


def test_what_is_not_needed_is_passed_over() -> None:
    settings = control(spdy.SETTINGS, struct.pack("!III", 1, 4, 100))
    update = control(spdy.WINDOW_UPDATE, struct.pack("!II", 1, 65536))
    assert list(Framer().feed(settings + update + control(99, b"x") + spdy.ping_frame(1))) == [
        Frame(spdy.PING, number=1)
    ]


STREAM = struct.pack("!IIxx", 1, 0)


@pytest.mark.parametrize(
    "hostile",
    [
        control(spdy.PING, b"\0\0\0\1", version=2),
        control(spdy.PING, b"\0"),
        control(spdy.RST_STREAM, b"\0\0\0\1"),
        control(spdy.SYN_STREAM, b""),
        control(spdy.SYN_STREAM, STREAM),
        control(spdy.SYN_STREAM, STREAM + b"no zlib at all"),
        control(spdy.SYN_STREAM, STREAM + zlib.compress(b"another dictionary")),
        control(spdy.SYN_STREAM, STREAM + block([], count=2**32 - 1)),
        control(spdy.SYN_STREAM, STREAM + block([(b"a", b"b")], count=2)),
        control(spdy.SYN_STREAM, STREAM + block([(b"a", b"b" * spdy.MAX_HEADER_BYTES)])),
        control(spdy.SYN_STREAM, STREAM + block([(b"bomb", b"\0" * 50_000_000)])),
        struct.pack("!II", 0x80030001, spdy.MAX_CONTROL_BYTES + 1),
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n\xff\xff\xff\xff" + b"\xff" * 2**20,
    ],
)
def test_hostile_input_is_an_error(hostile: bytes) -> None:
    framer = Framer()

    def feed() -> None:
        for _ in range(20):
            list(framer.feed(hostile))

    with pytest.raises(SpdyError):
        feed()


@given(st.binary(max_size=400))
def test_noise_is_an_error_or_nothing(noise: bytes) -> None:
    framer = Framer()
    try:
        list(framer.feed(b"\x80\x03\x00" + noise))
    except SpdyError:
        return
