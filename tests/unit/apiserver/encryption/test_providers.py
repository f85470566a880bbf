"""What is stored of an encrypted object, and what can be read of it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from apiserver.encryption.ciphers import CIPHERS
from apiserver.encryption.config import parse_encryption
from apiserver.storage.transform import TransformError, ValueTransformer

KEY, OTHER = "/registry/secrets/default/a", "/registry/secrets/default/b"
VALUE = b'{"kind":"Secret","data":{"password":"aHVudGVyMg=="}}'
ONE, TWO = base64.b64encode(b"1" * 32).decode(), base64.b64encode(b"2" * 32).decode()

CIPHER_NAMES = sorted(CIPHERS)


def provider(name: str, *keys: tuple[str, str]) -> dict[str, Any]:
    return {name: {"keys": [{"name": key, "secret": secret} for key, secret in keys]}}


def transformer(*providers: dict[str, Any]) -> ValueTransformer:
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": list(providers)}],
    }
    return parse_encryption(document).transformers([("", "secrets")])[("", "secrets")]


IDENTITY: dict[str, Any] = {"identity": {}}


@pytest.mark.parametrize("name", CIPHER_NAMES)
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 5000])
def test_a_value_comes_back(name: str, size: int) -> None:
    secrets = transformer(provider(name, ("k", ONE)))
    value = b"{" + b"x" * size
    stored = secrets.to_storage(KEY, value)
    assert stored.startswith(b"k8s:enc:%b:v1:k:" % name.encode())
    assert b"xxx" not in stored
    assert secrets.to_storage(KEY, value) != stored, "each write is encrypted anew"
    assert secrets.from_storage(KEY, stored) == (value, False)


@pytest.mark.parametrize("name", CIPHER_NAMES)
def test_a_rotated_secret_still_reads_what_it_wrote_and_asks_for_a_write(name: str) -> None:
    stored = transformer(provider(name, ("old", ONE))).to_storage(KEY, VALUE)
    rotated = transformer(provider(name, ("new", TWO), ("old", ONE)))
    assert rotated.from_storage(KEY, stored) == (VALUE, True)
    assert rotated.from_storage(KEY, rotated.to_storage(KEY, VALUE)) == (VALUE, False)
    assert rotated.to_storage(KEY, VALUE).startswith(b"k8s:enc:%b:v1:new:" % name.encode())


@pytest.mark.parametrize("name", CIPHER_NAMES)
def test_a_secret_that_is_not_there(name: str) -> None:
    stored = transformer(provider(name, ("old", ONE))).to_storage(KEY, VALUE)
    title = CIPHERS[name].title
    with pytest.raises(TransformError, match=f"no matching key was found for the provided {title} transformer"):
        transformer(provider(name, ("new", TWO)), IDENTITY).from_storage(KEY, stored)
    with pytest.raises(TransformError, match="no matching prefix found"):
        transformer(IDENTITY).from_storage(KEY, stored)


@pytest.mark.parametrize("name", CIPHER_NAMES)
def test_another_secret_of_the_same_name(name: str) -> None:
    stored = transformer(provider(name, ("k", ONE))).to_storage(KEY, VALUE)
    with pytest.raises(TransformError):
        transformer(provider(name, ("k", TWO))).from_storage(KEY, stored)
    both = transformer(provider(name, ("k", TWO)), provider(name, ("k", ONE)))
    assert both.from_storage(KEY, stored) == (VALUE, True)


def test_plain_values_are_read_until_identity_is_taken_out() -> None:
    migrating = transformer(provider("aesgcm", ("k", ONE)), IDENTITY)
    assert migrating.from_storage(KEY, VALUE) == (VALUE, True)
    with pytest.raises(TransformError, match="no matching prefix found"):
        transformer(provider("aesgcm", ("k", ONE))).from_storage(KEY, VALUE)


def test_encryption_is_left_by_identity_in_front() -> None:
    stored = transformer(provider("secretbox", ("k", ONE))).to_storage(KEY, VALUE)
    leaving = transformer(IDENTITY, provider("secretbox", ("k", ONE)))
    assert leaving.from_storage(KEY, stored) == (VALUE, True)
    assert leaving.to_storage(KEY, VALUE) == VALUE
    assert leaving.from_storage(KEY, VALUE) == (VALUE, False)


@pytest.mark.parametrize("name", ["aesgcm", "secretbox"])
def test_a_value_that_was_changed_is_refused(name: str) -> None:
    secrets = transformer(provider(name, ("k", ONE)))
    stored = secrets.to_storage(KEY, VALUE)
    with pytest.raises(TransformError):
        secrets.from_storage(KEY, stored[:-1] + bytes([stored[-1] ^ 1]))


def test_a_value_can_not_be_moved_to_another_object() -> None:
    secrets = transformer(provider("aesgcm", ("k", ONE)))
    with pytest.raises(TransformError, match="message authentication failed"):
        secrets.from_storage(OTHER, secrets.to_storage(KEY, VALUE))


@pytest.mark.parametrize("name", CIPHER_NAMES)
@pytest.mark.parametrize("rest", [b"", b"short", b"x" * 15, b"x" * 16, b"x" * 32, b"x" * 33])
def test_rubbish_behind_the_prefix(name: str, rest: bytes) -> None:
    with pytest.raises(TransformError):
        transformer(provider(name, ("k", ONE))).from_storage(KEY, b"k8s:enc:%b:v1:k:" % name.encode() + rest)


def test_values_of_the_original_server() -> None:
    """Values that were encrypted by other implementations of the formats."""
    gcm = "k8s:enc:aesgcm:v1:key1:"
    secrets = transformer(provider("aesgcm", ("key1", ONE)))
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    sealed = AESGCM(b"1" * 32).encrypt(b"n" * 12, VALUE, KEY.encode())
    assert secrets.from_storage(KEY, gcm.encode() + b"n" * 12 + sealed).value == VALUE
