"""Protobuf's variable-length integers, which what is sent to etcd and one of the OpenAPI documents are written with."""

from __future__ import annotations


def varint(number: int) -> bytes:
    """Of a number that is not negative."""
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
