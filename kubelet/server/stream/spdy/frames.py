"""Encodes and decodes frames of SPDY/3.1 as Kubernetes' clients speak it, without I/O.

Header blocks share one zlib stream per direction, so frames must be written in the order of their encoding.
Windows are not implemented: the library behind kubectl neither sends WINDOW_UPDATE nor waits for one, so that TCP
alone slows a sender down.
Source: "SPDY Protocol - Draft 3.1", with the dictionary of its section 2.6.10.1.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

VERSION = 3
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 0x01
PROTOCOL_ERROR, INVALID_STREAM, REFUSED_STREAM, CANCEL = 1, 2, 3, 5

MAX_CONTROL_BYTES = 64 * 1024  # of a control frame; a longer one ends the connection
MAX_HEADER_BYTES = 16 * 1024  # of one header block, unpacked
MAX_HEADERS = 64

_NAMES = (
    "options,head,post,put,delete,trace,accept,accept-charset,accept-encoding,accept-language,accept-ranges,age,allow,"
    "authorization,cache-control,connection,content-base,content-encoding,content-language,content-length,"
    "content-location,content-md5,content-range,content-type,date,etag,expect,expires,from,host,if-match,"
    "if-modified-since,if-none-match,if-range,if-unmodified-since,last-modified,location,max-forwards,pragma,"
    "proxy-authenticate,proxy-authorization,range,referer,retry-after,server,te,trailer,transfer-encoding,upgrade,"
    "user-agent,vary,via,warning,www-authenticate,method,get,status,200 OK,version,HTTP/1.1,url,public,set-cookie,"
    "keep-alive,origin"
)
_VALUES = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(struct.pack("!I", len(name)) + name.encode() for name in _NAMES.split(",")) + _VALUES.encode()


class SpdyError(Exception):
    """The other side has sent bytes that are not SPDY/3.1; the connection cannot be used any more."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, or a piece of a data frame. `kind` 0 is data; `number` is a ping's id or a status code."""

    kind: int
    stream: int = 0
    fin: bool = False
    data: bytes = b""
    number: int = 0
    headers: Mapping[str, str] | None = None


class Framer:
    """One side of a connection: `feed` what arrives, send what the other methods return."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(zdict=DICTIONARY)
        self._unpacker = zlib.decompressobj(zdict=DICTIONARY)
        self._buffer = bytearray()
        self._data_stream = 0
        self._data_left = 0  # of a data frame whose head has been read
        self._data_fin = False

    # --- reading

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yields frames that `data` completes; a data frame comes in pieces, as they arrive. Raises: SpdyError."""
        self._buffer += data
        while True:
            if self._data_left:
                if not self._buffer:
                    return
                yield self._piece()
                continue
            if len(self._buffer) < 8:
                return
            first, length = struct.unpack_from("!II", self._buffer)
            flags, length = length >> 24, length & 0xFFFFFF
            if not first & 0x80000000:
                del self._buffer[:8]
                self._data_stream, self._data_left, self._data_fin = first, length, bool(flags & FIN)
                if not length:
                    yield Frame(0, first, self._data_fin)
                continue
            if length > MAX_CONTROL_BYTES:
                raise SpdyError(f"a control frame of {length} bytes")
            if len(self._buffer) < 8 + length:
                return
            body = bytes(self._buffer[8 : 8 + length])
            del self._buffer[: 8 + length]
            if (first >> 16) & 0x7FFF != VERSION:
                raise SpdyError(f"SPDY version {(first >> 16) & 0x7FFF}")
            frame = self._control(first & 0xFFFF, flags, body)
            if frame is not None:
                yield frame

    def _piece(self) -> Frame:
        data = bytes(self._buffer[: self._data_left])
        del self._buffer[: len(data)]
        self._data_left -= len(data)
        return Frame(0, self._data_stream, self._data_fin and not self._data_left, data)

    def _control(self, kind: int, flags: int, body: bytes) -> Frame | None:
        """Decodes a control frame; None for one that may be ignored."""
        if kind == SYN_STREAM:
            return Frame(kind, _word(body, 0) & 0x7FFFFFFF, bool(flags & FIN), headers=self._unpack(body[10:]))
        if kind in (SYN_REPLY, HEADERS):
            return Frame(kind, _word(body, 0) & 0x7FFFFFFF, bool(flags & FIN), headers=self._unpack(body[4:]))
        if kind == RST_STREAM:
            return Frame(kind, _word(body, 0) & 0x7FFFFFFF, number=_word(body, 4))
        if kind == PING:
            return Frame(kind, number=_word(body, 0))
        if kind == GOAWAY:
            return Frame(kind, _word(body, 0) & 0x7FFFFFFF, number=_word(body, 4))
        return None

    def _unpack(self, block: bytes) -> dict[str, str]:
        try:
            text = self._unpacker.decompress(block, MAX_HEADER_BYTES)
        except zlib.error as error:
            raise SpdyError(f"a header block that cannot be unpacked: {error}") from None
        if self._unpacker.unconsumed_tail or self._unpacker.eof:
            raise SpdyError("a header block that is too long")
        return _parse_headers(text)

    # --- writing

    def syn_stream(self, stream: int, headers: Mapping[str, str], *, fin: bool = False) -> bytes:
        return _frame(SYN_STREAM, struct.pack("!IIxx", stream, 0) + self._pack(headers), FIN if fin else 0)

    def syn_reply(self, stream: int, headers: Mapping[str, str]) -> bytes:
        return _frame(SYN_REPLY, struct.pack("!I", stream) + self._pack(headers))

    def _pack(self, headers: Mapping[str, str]) -> bytes:
        parts = [struct.pack("!I", len(headers))]
        for pair in headers.items():
            for text in pair:
                parts.append(struct.pack("!I", len(text.encode())) + text.encode())
        return self._packer.compress(b"".join(parts)) + self._packer.flush(zlib.Z_SYNC_FLUSH)


def data_frame(stream: int, data: bytes, *, fin: bool = False) -> bytes:
    return struct.pack("!II", stream, (FIN if fin else 0) << 24 | len(data)) + data


def reset_frame(stream: int, status: int) -> bytes:
    return _frame(RST_STREAM, struct.pack("!II", stream, status))


def ping_frame(number: int) -> bytes:
    return _frame(PING, struct.pack("!I", number))


def goaway_frame(last_stream: int, status: int = 0) -> bytes:
    return _frame(GOAWAY, struct.pack("!II", last_stream, status))


def _frame(kind: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack("!II", 0x80000000 | VERSION << 16 | kind, flags << 24 | len(body)) + body


def _word(body: bytes, at: int) -> int:
    if len(body) < at + 4:
        raise SpdyError("a control frame that is cut short")
    return int.from_bytes(body[at : at + 4], "big")


def _parse_headers(text: bytes) -> dict[str, str]:
    """Decodes name -> value; of several values the first counts. Raises: SpdyError."""
    count, at = _word(text, 0), 4
    if count > MAX_HEADERS:
        raise SpdyError(f"{count} headers")
    headers: dict[str, str] = {}
    for _ in range(count):
        pair = []
        for _ in range(2):
            size = _word(text, at)
            if len(text) < at + 4 + size:
                raise SpdyError("a header that is longer than its block")
            pair.append(text[at + 4 : at + 4 + size].decode("utf-8", "replace"))
            at += 4 + size
        headers.setdefault(pair[0].lower(), pair[1].split("\0")[0])
    return headers
