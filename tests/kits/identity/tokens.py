"""Forges JSON Web Tokens: by other keys, algorithms, claims and forms than a server made them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization

Json = dict[str, Any]


def encode(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Forger:
    """Starts from a good token and, for some of its forgeries, the private key that made it."""

    def __init__(self, token: str, key: Any) -> None:
        self.token = token
        self.key = key
        self.header: Json = jwt.get_unverified_header(token)
        self.claims: Json = jwt.decode(token, options={"verify_signature": False})

    def signed(self, *, key: Any = None, header: Json | None = None, **claims: Any) -> str:
        """Well signed, unless by another key; a claim of None is left out."""
        merged = {name: value for name, value in {**self.claims, **claims}.items() if value is not None}
        return jwt.encode(merged, key or self.key, self.header["alg"], headers={**self.header, **(header or {})})

    def assembled(self, header: Json, signature: Callable[[bytes], bytes] = lambda text: b"") -> str:
        """Of any header, with whatever stands for a signature."""
        text = f"{encode({**self.header, **header})}.{encode(self.claims)}"
        return f"{text}.{encode(signature(text.encode()))}"

    def by_public_key(self, form: serialization.Encoding = serialization.Encoding.PEM) -> str:
        """HS256 with the public key, which everybody has, as the secret."""
        subject = serialization.PublicFormat.SubjectPublicKeyInfo
        secret = self.key.public_key().public_bytes(form, subject)
        return self.assembled({"alg": "HS256"}, lambda text: hmac.digest(secret, text, hashlib.sha256))

    def with_claims(self, claims: object) -> str:
        """The header and the signature of the good token, around other claims."""
        return f"{self.parts()[0]}.{encode(claims)}.{self.parts()[2]}"

    def parts(self) -> tuple[str, str, str]:
        header, claims, signature = self.token.split(".")
        return header, claims, signature
