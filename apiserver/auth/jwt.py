"""JSON Web Tokens: signing, verifying, and the keys as the world may see them. RS256 and ES256, and nothing else.

The algorithm is fixed by the key, never by the token. Source: RFC 7515 (JWS), RFC 7517 (JWK), RFC 7518 (JWA).
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

Json = dict[str, Any]
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

HALF = 32  # bytes of each of the two numbers of an ES256 signature


class BadToken(Exception):
    """The token is malformed, or none of the keys has signed it."""


class BadKey(Exception):
    """The text holds no key that can be used here."""


@dataclass(frozen=True)
class Key:
    """A public key that signs tokens."""

    id: str
    """A digest of the key: what a token's header names it by."""
    algorithm: str
    public: PublicKey

    def jwk(self) -> Json:
        """As published for others to verify with."""
        shown: Json = {"use": "sig", "kid": self.id, "alg": self.algorithm}
        numbers = self.public.public_numbers()
        if isinstance(numbers, rsa.RSAPublicNumbers):
            return {"kty": "RSA", **shown, "n": _number(numbers.n), "e": _number(numbers.e)}
        return {"kty": "EC", **shown, "crv": "P-256", "x": _number(numbers.x, HALF), "y": _number(numbers.y, HALF)}

    def verifies(self, signature: bytes, signed: bytes) -> bool:
        try:
            if isinstance(self.public, rsa.RSAPublicKey):
                self.public.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
            elif len(signature) == 2 * HALF:
                numbers = (int.from_bytes(signature[:HALF]), int.from_bytes(signature[HALF:]))
                self.public.verify(encode_dss_signature(*numbers), signed, ec.ECDSA(hashes.SHA256()))
            else:
                return False
        except InvalidSignature:
            return False
        return True


def make_key(public: object) -> Key:
    """Raises: BadKey."""
    if isinstance(public, rsa.RSAPublicKey):
        algorithm = "RS256"
    elif isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        algorithm = "ES256"
    else:
        raise BadKey("neither an RSA key nor one on the curve P-256")
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Key(_encode(hashlib.sha256(der).digest()), algorithm, public)


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
    """Of a public key, or of the private one it belongs to. Raises: BadKey."""
    if b"PRIVATE KEY-----" in pem:
        return make_key(read_private_key(pem).public_key())
    try:
        return make_key(serialization.load_pem_public_key(pem))
    except ValueError as error:
        raise BadKey(str(error)) from None


def sign(claims: Json, private: PrivateKey) -> str:
    key = make_key(private.public_key())
    signed = f"{_encode(_dump({'alg': key.algorithm, 'kid': key.id}))}.{_encode(_dump(claims))}"
    if isinstance(private, rsa.RSAPrivateKey):
        signature = private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        r, s = decode_dss_signature(private.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(HALF) + s.to_bytes(HALF)
    return f"{signed}.{_encode(signature)}"


def claims_of(token: str) -> Json:
    """What the token says, believed by nobody yet. Raises: BadToken."""
    parts = token.split(".")
    if len(parts) != 3:
        raise BadToken("a token has three parts")
    return _load(parts[1])


def verify(token: str, keys: list[Key]) -> Json:
    """The claims, once one of the keys is seen to have signed them. Raises: BadToken."""
    claims = claims_of(token)
    signed, _, signature = token.rpartition(".")
    header = _load(signed.partition(".")[0])
    for key in keys:
        if header.get("alg") != key.algorithm or header.get("kid", key.id) != key.id:
            continue
        if key.verifies(_decode(signature), signed.encode()):
            return claims
    raise BadToken("no key has signed the token")


def _load(part: str) -> Json:
    try:
        value = json.loads(_decode(part))
    except (ValueError, RecursionError):
        raise BadToken("a part of the token is no JSON") from None
    if not isinstance(value, dict):
        raise BadToken("a part of the token is no JSON object")
    return value


def _dump(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (Base64Error, ValueError):
        raise BadToken("a part of the token is no base64") from None


def _number(value: int, size: int = 0) -> str:
    return _encode(value.to_bytes(size or (value.bit_length() + 7) // 8))
