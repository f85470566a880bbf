"""The ciphers of encryption at rest. Each stores what the original API server's does, so that one can read what the
other has written.

Errors have the original's words.

Source: Kubernetes documentation, "Encrypting Confidential Data at Rest", "Providers".
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
from cryptography.hazmat.primitives.ciphers import algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from apiserver.storage.transform import TransformError

BLOCK = 16  # bytes, of AES
GCM_NONCE = 12  # bytes
TOO_SHORT = "the stored data was shorter than the required size"


class Cipher(Protocol):
    def encrypt(self, key: str, value: bytes) -> bytes:
        """`key` is that of the value in etcd."""
        ...

    def decrypt(self, key: str, stored: bytes) -> bytes:
        """Raises: TransformError."""
        ...


class AesGcm:
    """AES in Galois/Counter mode: nonce, ciphertext and tag. A value is bound to its key in etcd.

    Nonces are random, so one secret must not write more than a few hundred thousand values before it is replaced.
    """

    def __init__(self, secret: bytes) -> None:
        self._aead = AESGCM(secret)

    def encrypt(self, key: str, value: bytes) -> bytes:
        nonce = os.urandom(GCM_NONCE)
        return nonce + self._aead.encrypt(nonce, value, key.encode())

    def decrypt(self, key: str, stored: bytes) -> bytes:
        if len(stored) < GCM_NONCE:
            raise TransformError(TOO_SHORT)
        try:
            return self._aead.decrypt(stored[:GCM_NONCE], stored[GCM_NONCE:], key.encode())
        except InvalidTag:
            raise TransformError("cipher: message authentication failed") from None


class AesCbc:
    """AES in cipher block chaining mode with PKCS#7 padding: initialisation vector and ciphertext.

    It notices no change of what is stored; it is here for stores that were written with it.
    """

    def __init__(self, secret: bytes) -> None:
        self._algorithm = algorithms.AES(secret)

    def encrypt(self, key: str, value: bytes) -> bytes:
        vector = os.urandom(BLOCK)
        padding = BLOCK - len(value) % BLOCK
        encryptor = BlockCipher(self._algorithm, modes.CBC(vector)).encryptor()
        return vector + encryptor.update(value + bytes([padding]) * padding) + encryptor.finalize()

    def decrypt(self, key: str, stored: bytes) -> bytes:
        if len(stored) < BLOCK:
            raise TransformError(TOO_SHORT)
        if len(stored) % BLOCK:
            raise TransformError("the stored data is not a multiple of the block size")
        decryptor = BlockCipher(self._algorithm, modes.CBC(stored[:BLOCK])).decryptor()
        padded = decryptor.update(stored[BLOCK:]) + decryptor.finalize()
        padding = padded[-1] if padded else 0
        if not 0 < padding <= len(padded):
            raise TransformError("invalid PKCS7 data (empty or not padded)")
        if padded[-padding:] != bytes([padding]) * padding:
            raise TransformError("invalid padding on input")
        return padded[:-padding]


class Secretbox:
    """XSalsa20 and Poly1305: nonce, tag and ciphertext. Random nonces are safe here for any number of writes."""

    def __init__(self, secret: bytes) -> None:
        from nacl.secret import SecretBox  # here, as it loads a library that few clusters use

        self._box = SecretBox(secret)

    def encrypt(self, key: str, value: bytes) -> bytes:
        return bytes(self._box.encrypt(value))

    def decrypt(self, key: str, stored: bytes) -> bytes:
        from nacl.exceptions import CryptoError

        if len(stored) < self._box.NONCE_SIZE:
            raise TransformError(TOO_SHORT)
        try:
            return bytes(self._box.decrypt(stored))
        except CryptoError:
            raise TransformError("output array was not large enough for encryption") from None


@dataclass(frozen=True)
class CipherType:
    make: Callable[[bytes], Cipher]
    secret_sizes: tuple[int, ...]
    """The sizes that its secrets may have, in bytes."""
    title: str
    """Its name in an error about a secret that is not there."""


CIPHERS = {
    "aesgcm": CipherType(AesGcm, (16, 24, 32), "AES"),
    "aescbc": CipherType(AesCbc, (16, 24, 32), "AES"),
    "secretbox": CipherType(Secretbox, (32,), "Secretbox"),
}
"""By the provider's name in the configuration, which stands in front of what is stored."""
