"""Puts resourceVersion and managedFields into encoded objects and takes them out, without decoding them.

Encoded objects start with kind, apiVersion and metadata, in this order, so the first `"metadata":{` is the object's
own. Its first members are resourceVersion, which etcd holds objects without, since it is only known after the write,
and managedFields, which most writes only pass on.
"""

from __future__ import annotations

import re

_METADATA = b'"metadata":{'
_REVISION = b'"resourceVersion":"'
_OWNERS = b'"managedFields":'
_OWNERS_END = re.compile(rb'\](?=,"\w)')  # within a string, the quote would end it, and no letter could follow


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


def with_owners(raw: bytes, owners: bytes) -> bytes:
    """Returns an object as etcd holds it, with these encoded managedFields; b"" for none."""
    if not owners:
        return raw
    at = raw.index(_METADATA) + len(_METADATA)
    return b"%b%b%b,%b" % (raw[:at], _OWNERS, owners, raw[at:])


def split_owners(value: bytes) -> tuple[bytes, bytes]:
    """Returns (the object without managedFields, these); b"" where they aren't where `with_owners` puts them."""
    at = value.index(_METADATA) + len(_METADATA)
    if value.startswith(_REVISION, at):
        at = value.index(b'"', at + len(_REVISION)) + 2
    if not value.startswith(_OWNERS, at):
        return value, b""
    match = _OWNERS_END.search(value, at)
    if match is None:
        return value, b""
    return value[:at] + value[match.end() + 1 :], value[at + len(_OWNERS) : match.end()]


def _span(value: bytes) -> tuple[int, int]:
    """Returns where the spliced member begins and ends, with the comma after it."""
    at = value.index(_METADATA) + len(_METADATA)
    if not value.startswith(_REVISION, at):
        raise ValueError("the object carries no resourceVersion")
    end = value.index(b'"', at + len(_REVISION)) + 1
    return at, end + (value[end : end + 1] == b",")
