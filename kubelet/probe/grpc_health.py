"""One call of the gRPC health protocol over plain HTTP/2, for grpc probes.

A unary call needs so little of HTTP/2 that a client library would cost more than it saves: the preface, one HEADERS and
one DATA frame out; SETTINGS, PING and the DATA frames of the one stream in. Response headers are never decoded: an
answer with a message says everything, and one without (a trailers-only error) is a failure.
"""

from __future__ import annotations

import asyncio
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PATH = "/grpc.health.v1.Health/Check"
SERVING = 1
STATUS_NAMES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
MESSAGE_LIMIT = 64 * 1024

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _END_HEADERS, _PADDED, _ACK = 0x1, 0x4, 0x8, 0x1
_STREAM = 1


class GrpcError(Exception):
    """The server gave no health status."""


async def check(host: str, port: int, service: str) -> str:
    """The name of the service's status: "SERVING", "NOT_SERVING" …

    Raises: GrpcError; OSError. Set a timeout around it.
    """
    reader, writer = await asyncio.open_connection(host, port)
    try:
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        writer.write(PREFACE + _frame(_SETTINGS, 0, 0, b""))
        writer.write(_frame(_HEADERS, _END_HEADERS, _STREAM, _headers(authority)))
        writer.write(_frame(_DATA, _END_STREAM, _STREAM, _message(service)))
        body = await _answer(reader, writer)
    except asyncio.IncompleteReadError:
        raise GrpcError("the server closed the connection") from None
    finally:
        writer.transport.abort()
    if len(body) < 5:
        raise GrpcError("the server does not implement the gRPC health protocol or does not know the service")
    return STATUS_NAMES.get(_status(body[5:]), "UNKNOWN")


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The stream's data until its end."""
    body = b""
    while True:
        head = await reader.readexactly(9)
        length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        payload = await reader.readexactly(length)
        stream = int.from_bytes(head[5:9], "big") & 0x7FFFFFFF
        if kind == _SETTINGS and not flags & _ACK:
            writer.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            writer.write(_frame(_PING, _ACK, 0, payload))
        elif kind == _GOAWAY:
            raise GrpcError("the server refused the connection")
        elif stream == _STREAM and kind == _RST_STREAM:
            raise GrpcError("the server reset the call")
        elif stream == _STREAM and kind == _DATA:
            body += payload[1 : len(payload) - payload[0]] if flags & _PADDED else payload
            if len(body) > MESSAGE_LIMIT:
                raise GrpcError("the answer is too long")
        if stream == _STREAM and kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            return body


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def _headers(authority: str) -> bytes:
    fields = (
        (":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", authority),
        ("content-type", "application/grpc"), ("user-agent", "kube-probe/1.35"), ("te", "trailers"),
    )  # fmt: skip
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)


def _text(text: str) -> bytes:
    """A string literal of HPACK, not Huffman coded (RFC 7541, section 5)."""
    data = text.encode()
    if len(data) < 127:
        return bytes([len(data)]) + data
    length, rest = b"\x7f", len(data) - 127
    while rest >= 128:
        length += bytes([rest % 128 + 128])
        rest //= 128
    return length + bytes([rest]) + data


def _message(service: str) -> bytes:
    """HealthCheckRequest{service = 1}, with gRPC's five bytes before it."""
    name = service.encode()
    body = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\0" + struct.pack(">I", len(body)) + body


def _varint(number: int) -> bytes:
    out = b""
    while number >= 128:
        out += bytes([number % 128 + 128])
        number //= 128
    return out + bytes([number])


def _status(message: bytes) -> int:
    """HealthCheckResponse{status = 1}; an absent field is 0."""
    return message[1] if len(message) >= 2 and message[0] == 0x08 else 0
