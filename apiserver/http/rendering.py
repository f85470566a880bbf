"""Converts answers from compact JSON to indented JSON, for human readers, or to YAML."""

from __future__ import annotations

import asyncio

import orjson

from apiserver.http.negotiation import Representation

INLINE_BYTES = 16 * 1024  # a longer text is converted in a thread, so that other requests get their turn meanwhile


async def rendered(body: bytes, representation: Representation) -> tuple[bytes, bytes]:
    """Returns the JSON `body` in the form that the client asks for, and its content type."""
    if representation.format == "yaml":
        text = to_yaml(body) if len(body) < INLINE_BYTES else await asyncio.to_thread(to_yaml, body)
        return text, b"application/yaml"
    return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2), b"application/json"


def to_yaml(body: bytes) -> bytes:
    """Keys in order, several lines of text as a block."""
    from apimachinery.text import yaml

    return yaml.to_yaml(orjson.loads(body)).encode()
