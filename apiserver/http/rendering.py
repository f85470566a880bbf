"""Answers in another form than compact JSON: indented for human readers, or YAML."""

from __future__ import annotations

import asyncio

import orjson

from apiserver.http.negotiation import Wanted

INLINE_BYTES = 16 * 1024  # a longer text is made in a thread, so that other requests get their turn meanwhile


async def rendered(body: bytes, wanted: Wanted) -> tuple[bytes, bytes]:
    """(the JSON `body` as the client wants it, its content type)."""
    if wanted.format == "yaml":
        text = to_yaml(body) if len(body) < INLINE_BYTES else await asyncio.to_thread(to_yaml, body)
        return text, b"application/yaml"
    return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2), b"application/json"


def to_yaml(body: bytes) -> bytes:
    """Keys in order, several lines of text as a block."""
    from apimachinery import yaml

    return yaml.to_yaml(orjson.loads(body)).encode()
