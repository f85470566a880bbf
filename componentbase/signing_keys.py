"""Keys that sign the tokens of service accounts, in RS256 or ES256 and nothing else; PyJWT does the signing.

The key fixes the algorithm, never the token. Source: RFC 7515 (JWS), RFC 7517 (JWK), RFC 7518 (JWA).
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

Json = dict[str, Any]
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

# Times and audiences are checked by the caller, with the server's own clock and errors.
SIGNATURE_ONLY: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}


class BadToken(Exception):
    """The token is malformed, or none of the keys has signed it."""


class BadKey(Exception):
    """The text does not hold a key that can be used here."""


@dataclass(frozen=True)
class Key:
    """A public key that signs tokens."""

    id: str
    """A digest of the key, by which the header of a token names it."""
    algorithm: str
    public: PublicKey

    def jwk(self) -> Json:
        """The key as published for others to verify with."""
        if isinstance(self.public, rsa.RSAPublicKey):
            numbers = RSAAlgorithm.to_jwk(self.public, as_dict=True)
        else:
            numbers = ECAlgorithm.to_jwk(self.public, as_dict=True)
        names = ("kty", "crv", "n", "e", "x", "y")
        return {"use": "sig", "kid": self.id, "alg": self.algorithm} | {
            name: numbers[name] for name in names if name in numbers
        }


def make_key(public: object) -> Key:
    """Raises: BadKey."""
    if isinstance(public, rsa.RSAPublicKey):
        algorithm = "RS256"
    elif isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        algorithm = "ES256"
    else:
        raise BadKey("neither an RSA key nor one on the curve P-256")
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Key(urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode(), algorithm, public)


def read_private_key(pem: bytes) -> PrivateKey:
    """Raises: BadKey."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise BadKey(str(error)) from None
    make_key(key.public_key())
    assert isinstance(key, PrivateKey)
    return key


def read_public_key(pem: bytes) -> Key:
    """Reads a public key, or the one that belongs to a private key. Raises: BadKey."""
    if b"PRIVATE KEY-----" in pem:
        return make_key(read_private_key(pem).public_key())
    try:
        return make_key(serialization.load_pem_public_key(pem))
    except ValueError as error:
        raise BadKey(str(error)) from None


def sign(claims: Json, private: PrivateKey) -> str:
    key = make_key(private.public_key())
    return jwt.encode(claims, private, key.algorithm, headers={"kid": key.id, "typ": None})


def claims_of(token: str) -> Json:
    """The claims, **not verified**. Raises: BadToken."""
    try:
        return jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, RecursionError) as error:
        raise BadToken(str(error)) from None


def verify(token: str, keys: list[Key]) -> Json:
    """The claims, after one of the keys is found to have signed them. Raises: BadToken."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, RecursionError) as error:
        raise BadToken(str(error)) from None
    for key in keys:
        if header.get("alg") != key.algorithm or header.get("kid", key.id) != key.id:
            continue
        try:
            return jwt.decode(token, key.public, algorithms=[key.algorithm], options=SIGNATURE_ONLY)
        except jwt.InvalidSignatureError:
            continue
        except (jwt.InvalidTokenError, RecursionError) as error:
            raise BadToken(str(error)) from None
    raise BadToken("no key has signed the token")
