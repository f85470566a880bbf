"""Tokens as texts, and the bodies of reviews and Events as protobuf."""

import base64
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from apiserver.codec.protobuf import to_json
from componentbase.signing_keys import (
    BadKey,
    BadToken,
    make_key,
    read_private_key,
    read_public_key,
    sign,
    verify,
)
from kubeapi.core.event import RESOURCE as CORE_EVENTS
from kubeapi.events.event import RESOURCE as EVENTS
from kubeapi.events.event import from_core, to_core
from tests.kits.kinds import row

EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
CLAIMS: dict[str, Any] = {"sub": "someone", "n": 1}


def pem(key: Any) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    encoded: bytes = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return encoded


@pytest.mark.parametrize("private", [EC, RSA])
def test_a_token_is_believed_with_its_key_alone(private: Any) -> None:
    token, key = sign(CLAIMS, private), read_public_key(pem(private))
    other = make_key((RSA if private is EC else EC).public_key())
    assert verify(token, [other, key]) == CLAIMS
    with pytest.raises(BadToken):
        verify(token, [other])
    with pytest.raises(BadToken):
        verify(token, [])


def text(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_the_algorithm_is_the_key_s() -> None:
    key = make_key(RSA.public_key())
    for algorithm in ("none", "HS256", "ES256", "RS384", None):
        signed = f"{text({'alg': algorithm, 'kid': key.id})}.{text(CLAIMS)}"
        secret = key.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        forged = base64.urlsafe_b64encode(hmac.digest(secret, signed.encode(), "sha256")).decode().rstrip("=")
        for signature in ("", forged):
            with pytest.raises(BadToken):
                verify(f"{signed}.{signature}", [key])


@pytest.mark.parametrize(
    "token", ["", "a", "a.b", "a.b.c.d", "..", "e30.W10.e30", "e30.e30.!", f"{'W' * 4000}.e30.e30"]
)
def test_what_is_no_token(token: str) -> None:
    with pytest.raises(BadToken):
        verify(token, [make_key(EC.public_key())])


def test_keys_that_can_not_be_used() -> None:
    for bad in (b"", b"-----BEGIN PRIVATE KEY-----\n", pem(ec.generate_private_key(ec.SECP384R1()))):
        with pytest.raises(BadKey):
            read_private_key(bad)
        with pytest.raises(BadKey):
            read_public_key(bad)


def test_public_keys_as_the_world_sees_them() -> None:
    shown = make_key(RSA.public_key()).jwk()
    assert (shown["kty"], shown["alg"], shown["e"]) == ("RSA", "RS256", "AQAB")
    assert set(make_key(EC.public_key()).jwk()) == {"kty", "use", "kid", "alg", "crv", "x", "y"}


def test_an_event_goes_to_and_fro() -> None:
    core = {"kind": "Event", "apiVersion": "v1", "metadata": {"name": "a"}, "involvedObject": {"name": "p"}}
    core |= {"message": "m", "count": 2, "source": {"host": "h"}, "reportingComponent": "c", "reason": "r"}
    seen = from_core(dict(core))
    assert seen == {
        "kind": "Event", "apiVersion": "events.k8s.io/v1", "metadata": {"name": "a"}, "regarding": {"name": "p"},
        "note": "m", "deprecatedCount": 2, "deprecatedSource": {"host": "h"}, "reportingController": "c",
        "reason": "r",
    }  # fmt: skip
    assert list(seen)[:3] == ["kind", "apiVersion", "metadata"]
    assert to_core(seen) == core
    assert row(EVENTS, seen) == row(CORE_EVENTS, core)


def field(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return bytes([number << 3, value])
    data = value.encode() if isinstance(value, str) else value
    return bytes([number << 3 | 2, len(data)]) + data


def body(api_version: str, kind: str, message: bytes) -> bytes:
    return b"k8s\0" + field(1, field(1, api_version) + field(2, kind)) + field(2, message)


def test_protobuf_bodies() -> None:
    request = field(2, field(1, "vault") + field(3, field(1, "Pod") + field(3, "p")) + field(4, 60))
    assert json.loads(to_json(body("authentication.k8s.io/v1", "TokenRequest", request))) == {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "spec": {"audiences": ["vault"], "boundObjectRef": {"kind": "Pod", "name": "p"}, "expirationSeconds": 60},
    }
    extra = field(5, field(1, "k") + field(2, field(1, "a") + field(1, "b")))
    review = json.loads(
        to_json(body("authorization.k8s.io/v1", "SubjectAccessReview", field(2, extra + field(3, "u"))))
    )
    assert review["spec"] == {"extra": {"k": ["a", "b"]}, "user": "u"}
    event = json.loads(to_json(body("events.k8s.io/v1", "Event", field(10, "note") + field(4, "who"))))
    assert (event["note"], event["reportingController"]) == ("note", "who")
    core = json.loads(to_json(body("v1", "Event", field(4, "text"))))
    assert core["message"] == "text"
