"""Puts resourceVersion into encoded objects, once and without decoding them.

Encoded objects start with kind, apiVersion and metadata, in this order, so the first `"metadata":{` is the object's
own; etcd holds them without resourceVersion, which is only known after the write.
"""

from __future__ import annotations

_METADATA = b'"metadata":{'
_REVISION = b'"resourceVersion":"'


def with_revision(raw: bytes, revision: int) -> bytes:
    """Returns the object as served: resourceVersion becomes the first of `metadata`.

    Raises: ValueError for a value without metadata.
    """
    at = raw.index(_METADATA) + len(_METADATA)
    comma = b"" if raw[at : at + 1] == b"}" else b","
    return b'%b"resourceVersion":"%d"%b%b' % (raw[:at], revision, comma, raw[at:])


def without_revision(value: bytes) -> bytes:
    """Returns the object as etcd holds it; the inverse of `with_revision`."""
    at, end = _span(value)
    return value[:at] + value[end:]


def replace_revision(value: bytes, revision: int) -> bytes:
    """Returns the same object under another revision."""
    at, end = _span(value)
    comma = b"" if value[end : end + 1] == b"}" else b","
    return b'%b"resourceVersion":"%d"%b%b' % (value[:at], revision, comma, value[end:])


def _span(value: bytes) -> tuple[int, int]:
    """Returns where the spliced member begins and ends, with the comma after it."""
    at = value.index(_METADATA) + len(_METADATA)
    if not value.startswith(_REVISION, at):
        raise ValueError("the object carries no resourceVersion")
    end = value.index(b'"', at + len(_REVISION)) + 1
    return at, end + (value[end : end + 1] == b",")
