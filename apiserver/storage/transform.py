"""The transformation between an object's encoding and the bytes in etcd, for resources that are encrypted at rest."""

from __future__ import annotations

from typing import NamedTuple, Protocol

ENCRYPTED = b"k8s:enc:"
"""Every encrypted value begins so, as with the original API server; an object's own encoding begins with "{"."""


class TransformError(Exception):
    """A stored value can't be read: its key is not known, or it is not what was stored. The text is upstream's."""


class Opened(NamedTuple):
    value: bytes
    """The object's encoding."""
    is_stale: bool
    """It would be stored in another form today: a write refreshes it, even one that changes nothing."""


class ValueTransformer(Protocol):
    """`key` is the value's key in etcd, which a value may be bound to, so that it can't be moved to another object."""

    def to_storage(self, key: str, value: bytes) -> bytes: ...

    def from_storage(self, key: str, stored: bytes) -> Opened:
        """Raises: TransformError."""
        ...
