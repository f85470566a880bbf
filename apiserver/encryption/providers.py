"""The providers of a resource, in their order: the first one writes, and whichever can read a value does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from apimachinery.errors import join_errors
from apiserver.encryption.ciphers import Cipher
from apiserver.storage.transform import ENCRYPTED, Opened, TransformError


class Provider(Protocol):
    prefix: bytes
    """The beginning of every value of this provider."""

    def to_storage(self, key: str, value: bytes) -> bytes: ...

    def from_storage(self, key: str, stored: bytes) -> Opened:
        """Raises: TransformError."""
        ...


class Identity:
    """Stores values as they are."""

    prefix = b""

    def to_storage(self, key: str, value: bytes) -> bytes:
        return value

    def from_storage(self, key: str, stored: bytes) -> Opened:
        if stored.startswith(ENCRYPTED):
            raise TransformError("identity transformer tried to read encrypted data")
        return Opened(stored, is_stale=False)


class NamedCipher(NamedTuple):
    prefix: bytes
    """The beginning of its values: "k8s:enc:aesgcm:v1:NAME:"."""
    cipher: Cipher


class KeyedProvider:
    """A cipher with several secrets: the first one writes, the others still read what they have written."""

    def __init__(self, name: str, title: str, ciphers: Sequence[tuple[str, Cipher]]) -> None:
        """`ciphers` by the name of the secret, the first one first."""
        self.prefix = b"%b%b:v1:" % (ENCRYPTED, name.encode())
        self._title = title
        self._keys = [NamedCipher(b"%b%b:" % (self.prefix, secret.encode()), cipher) for secret, cipher in ciphers]

    def to_storage(self, key: str, value: bytes) -> bytes:
        prefix, cipher = self._keys[0]
        return prefix + cipher.encrypt(key, value)

    def from_storage(self, key: str, stored: bytes) -> Opened:
        errors: list[str] = []
        for index, (prefix, cipher) in enumerate(self._keys):
            if stored.startswith(prefix):
                try:
                    return Opened(cipher.decrypt(key, stored[len(prefix) :]), is_stale=index > 0)
                except TransformError as error:
                    errors.append(str(error))
        raise TransformError(_joined(errors) or f"no matching key was found for the provided {self._title} transformer")


class ProviderList:
    """The transformer of a resource."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._providers = providers

    def to_storage(self, key: str, value: bytes) -> bytes:
        return self._providers[0].to_storage(key, value)

    def from_storage(self, key: str, stored: bytes) -> Opened:
        """Several providers may have one prefix and different secrets, so each of them has a try."""
        errors: list[str] = []
        for index, provider in enumerate(self._providers):
            if stored.startswith(provider.prefix):
                try:
                    value, is_stale = provider.from_storage(key, stored)
                except TransformError as error:
                    if provider.prefix:  # that a value is not a plain one does not tell what is wrong with it
                        errors.append(str(error))
                else:
                    return Opened(value, is_stale or index > 0)
        raise TransformError(_joined(errors) or "no matching prefix found")


def _joined(errors: list[str]) -> str:
    return join_errors(list(dict.fromkeys(errors)))
