"""What claims say about a user."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiserver.auth.authentication.oidc.claims import ClaimsReader
from apiserver.auth.authentication.oidc.configuration import JWTAuthenticator
from apiserver.auth.authentication.oidc.issuer import IssuerError, read_keys
from apiserver.auth.authentication.tokens import InvalidToken
from apiserver.request.user import AUTHENTICATED, User

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def reader(username: dict[str, Any] | None = None, **fields: Any) -> ClaimsReader:
    mappings = {
        "username": username or {"claim": "sub", "prefix": "u:"},
        "groups": {"claim": "groups", "prefix": "g:"},
        "uid": {"claim": "uid"},
    }
    issuer = {"url": "https://issuer.example", "audiences": ["a"]}
    return ClaimsReader(JWTAuthenticator.model_validate({"issuer": issuer, "claimMappings": mappings, **fields}))


CLAIMS_READER = reader()


def test_claims_are_mapped_with_their_prefixes() -> None:
    claims = {"sub": "joe", "groups": ["a", "b"], "uid": "7"}
    assert CLAIMS_READER.user(claims) == User("u:joe", "7", ("g:a", "g:b", AUTHENTICATED))
    assert CLAIMS_READER.user({"sub": "joe", "groups": "a"}) == User("u:joe", "", ("g:a", AUTHENTICATED))


@pytest.mark.parametrize(("verified", "accepted"), [(None, True), (True, True), (False, False), ("true", False)])
def test_an_email_must_not_be_unverified(verified: object, accepted: bool) -> None:
    by_email = reader({"claim": "email", "prefix": ""})
    claims = {"email": "joe@example.com"} | ({} if verified is None else {"email_verified": verified})
    if accepted:
        assert by_email.user(claims).name == "joe@example.com"
    else:
        with pytest.raises(InvalidToken, match="email not verified"):
            by_email.user(claims)


@given(st.dictionaries(st.sampled_from(["sub", "groups", "uid", "x"]), JSON))
def test_any_claims_make_a_user_or_are_refused(claims: dict[str, Any]) -> None:
    try:
        user = CLAIMS_READER.user(claims)
    except InvalidToken:
        return
    assert user.name == f"u:{claims['sub']}"
    assert all(group.startswith("g:") for group in user.groups[:-1])
    assert user.groups[-1] == AUTHENTICATED


@given(st.dictionaries(st.sampled_from(["a", "b"]), JSON))
def test_an_expression_never_fails_otherwise_than_by_a_refusal(claims: dict[str, Any]) -> None:
    strict = reader({"expression": "claims.a + claims.b.lowerAscii()"})
    with contextlib.suppress(InvalidToken):
        assert strict.user(claims).name


@given(JSON)
def test_any_document_of_keys_is_read_or_refused(document: Any) -> None:
    for item in ({"keys": document}, {"keys": [document]}):
        try:
            read_keys(item)
        except IssuerError:
            continue


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a"},
        {"kty": "RSA", "kid": "a"},
        {"kty": "EC", "crv": "P-256", "x": "!", "y": "", "kid": "a"},
        {"kty": "RSA", "use": "enc", "kid": "a", "n": "AQAB", "e": "AQAB"},
    ],
)
def test_keys_that_cannot_verify_a_signature_are_left_out(key: dict[str, Any]) -> None:
    assert read_keys({"keys": [key]}) == {}
