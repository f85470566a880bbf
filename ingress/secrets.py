"""Certificates and users in Secrets, checked before the proxy sees them: a bad one must not cost the others. Pure."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from kubeapi.core.secret.model import Secret

_USER = re.compile(r"[A-Za-z0-9._@+-]+")
_HASH = re.compile(r"\$(1|5|6|y|2[abxy])\$[A-Za-z0-9./$=,]+|\$apr1\$[A-Za-z0-9./]{1,8}\$[A-Za-z0-9./]{22}")
"""What crypt(3) knows (MD5, SHA-256, SHA-512, yescrypt and bcrypt), and Apache's own MD5."""


class SecretError(Exception):
    """Says what is wrong with a Secret."""


def certificate_of(secret: Secret | None) -> str:
    """Returns the PEM of a certificate, its chain and its key, written anew. Raises: SecretError."""
    chain, key = _data(secret, "tls.crt"), _data(secret, "tls.key")
    try:
        certificates = x509.load_pem_x509_certificates(chain)
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SecretError(f"its certificate or key can't be read: {error}") from None
    public = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = serialization.Encoding.PEM
    if private.public_key().public_bytes(pem, public) != certificates[0].public_key().public_bytes(pem, public):
        raise SecretError("its key is not that of its certificate")
    written = [item.public_bytes(pem) for item in certificates]
    written.append(private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return b"".join(written).decode()


def users_of(secret: Secret | None, *, by_key: bool) -> tuple[tuple[tuple[str, str], ...], list[str]]:
    """Returns names with hashes of passwords, and what is wrong with those that are left out.

    They are lines of the key `auth`, name:hash, or one key each. Raises: SecretError when there is no such Secret.
    """
    if by_key:
        data = {name: _data(secret, name) for name in (secret.data or {})} if secret else {"": _data(secret, "auth")}
        pairs = [(name, value.decode(errors="replace").strip()) for name, value in sorted(data.items())]
    else:
        lines = _data(secret, "auth").decode(errors="replace").split()
        pairs = [(name, value) for name, _, value in (line.partition(":") for line in lines)]
    users, complaints = [], []
    for name, value in pairs:
        if not _USER.fullmatch(name):
            complaints.append(f"user {name!r} has a name that is not served")
        elif not _HASH.fullmatch(value):
            complaints.append(f"user {name}: the hash is not one of bcrypt, SHA-crypt or MD5: make it by `htpasswd -B`")
        else:
            users.append((name, value))
    return tuple(dict(users).items()), complaints


def _data(secret: Secret | None, key: str) -> bytes:
    if secret is None:
        raise SecretError("it does not exist")
    text = (secret.data or {}).get(key)
    if text is None:
        raise SecretError(f"it has no key {key}")
    try:
        return b64decode(text, validate=True)
    except binascii.Error as error:
        raise SecretError(f"its key {key} is not base64: {error}") from None
