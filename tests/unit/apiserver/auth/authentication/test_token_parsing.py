"""Whatever comes as a token is refused as one: nothing else is ever raised."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from apimachinery.errors import Unauthorized
from apiserver.auth.authentication.authenticator import bearer_token
from apiserver.auth.authentication.websocket_token import take_token
from componentbase.signing_keys import BadToken, claims_of, make_key, verify
from tests.kits.identity.tokens import encode

KEY = make_key(ec.generate_private_key(ec.SECP256R1()).public_key())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={name: JSON | st.sampled_from(["ES256", "none", KEY.id]) for name in ("alg", "kid", "typ", "crit", "b64")},
)


def well_formed(header: Any, claims: Any, signature: bytes) -> str:
    return ".".join([encode(json.dumps(header).encode()), encode(json.dumps(claims).encode()), encode(signature)])


TOKENS = (
    st.text()
    | st.text("abcdefABCDEF0123456789-_=.")
    | st.builds(well_formed, HEADERS | JSON, JSON, st.binary(max_size=70))
)


@given(TOKENS)
def test_a_token_that_nobody_has_signed_is_refused(token: str) -> None:
    with pytest.raises(BadToken):
        verify(token, [KEY])


@given(TOKENS)
def test_the_claims_of_any_token_are_an_object_or_refused(token: str) -> None:
    try:
        assert isinstance(claims_of(token), dict)
    except BadToken:
        return


@given(st.binary())
def test_a_bearer_token_has_no_spaces_around_it(header: bytes) -> None:
    token = bearer_token(header)
    assert token == token.strip()
    assert not token or header.strip().lower().startswith(b"bearer ")


@given(st.lists(st.binary() | st.binary().map(lambda tail: b"base64url.bearer.authorization.k8s.io." + tail)))
def test_any_offer_of_a_websocket_is_read_or_refused(offers: list[bytes]) -> None:
    headers = [
        (b"upgrade", b"websocket"),
        (b"connection", b"upgrade"),
        *((b"sec-websocket-protocol", it) for it in offers),
    ]
    try:
        take_token(headers)
    except Unauthorized:
        return
