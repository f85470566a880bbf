"""Which of the credentials of a request counts."""

from __future__ import annotations

import pytest

from apimachinery.errors import Unauthorized
from apiserver.auth.authentication.authenticator import Anonymous, Authenticator, read_credentials
from apiserver.request.user import ANONYMOUS, User

Headers = list[tuple[bytes, bytes]]


def identify(authenticator: Authenticator, headers: Headers, certificate: User | None = None, path: str = "/") -> User:
    return authenticator.authenticate(read_credentials(headers)[0], headers, certificate, path)


def test_tokens_come_before_certificates() -> None:
    jane, node = User("jane"), User("node")
    authenticator = Authenticator({b"Bearer t": jane})
    assert identify(authenticator, [(b"authorization", b"Bearer t")], node) is jane
    assert identify(authenticator, [(b"authorization", b" bearer   t ")], None) is jane
    assert identify(authenticator, [(b"accept", b"*/*")], node) is node
    with pytest.raises(Unauthorized):
        identify(authenticator, [(b"authorization", b"Bearer x")], node)


NO_CREDENTIAL: list[Headers] = [
    [],
    *([(b"authorization", value)] for value in (b"", b"Basic t", b"Bearer", b"Bearer  ")),
]


@pytest.mark.parametrize("headers", NO_CREDENTIAL)
def test_a_request_without_a_credential_is_anonymous_where_that_is_allowed(headers: Headers) -> None:
    tokens, node = {b"Bearer t": User("jane")}, User("node")
    assert identify(Authenticator(tokens, None, Anonymous()), headers) is ANONYMOUS
    assert identify(Authenticator(tokens, None, Anonymous()), headers, node) is node
    limited = Authenticator(tokens, None, Anonymous(paths=frozenset({"/livez"})))
    assert identify(limited, headers, None, "/livez") is ANONYMOUS
    for authenticator, path in ((limited, "/livez/"), (limited, "/api"), (Authenticator(tokens), "/livez")):
        with pytest.raises(Unauthorized):
            identify(authenticator, headers, None, path)


@pytest.mark.parametrize("value", [b"Bearer x", b"bearer  x", b"Bearer t x", b"BEARER \x00"])
def test_a_bad_token_is_not_an_anonymous_request(value: bytes) -> None:
    with pytest.raises(Unauthorized):
        identify(Authenticator({b"Bearer t": User("jane")}, None, Anonymous()), [(b"authorization", value)])


def test_the_first_of_several_tokens_counts() -> None:
    headers = [(b"authorization", b"Bearer x"), (b"authorization", b"Bearer t"), (b"impersonate-user", b"u")]
    assert read_credentials(headers) == (b"Bearer x", True)
    with pytest.raises(Unauthorized):
        identify(Authenticator({b"Bearer t": User("jane")}), headers)


def websocket(*offered: str) -> list[tuple[bytes, bytes]]:
    headers = [(b"upgrade", b"websocket"), (b"connection", b"keep-alive, Upgrade")]
    return headers + [(b"sec-websocket-protocol", item.encode()) for item in offered]


BEARER = "base64url.bearer.authorization.k8s.io."


def test_the_token_of_a_websocket_is_a_protocol_that_nobody_else_sees() -> None:
    jane = User("jane")
    authenticator = Authenticator({b"Bearer t/?": jane})
    headers = websocket(f"a.k8s.io, {BEARER}dC8_", "b.k8s.io")
    assert identify(authenticator, headers, None) is jane
    assert headers == websocket("a.k8s.io, b.k8s.io")


@pytest.mark.parametrize(
    "headers",
    [
        websocket(f"{BEARER}dC8_"),  # no other protocol to answer with
        websocket(f"a, {BEARER}dC8_, {BEARER}dC8_"),
        websocket(f"a, {BEARER}d!"),
        websocket(f"a, {BEARER}d"),
        websocket(f"a, {BEARER}eA"),  # of nobody
        websocket(f"a, {BEARER}"),
        websocket("a"),
        websocket(f"a, {BEARER}dC8_")[2:],  # not a WebSocket
    ],
)
def test_other_offers_of_a_websocket_name_nobody(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(Unauthorized):
        identify(Authenticator({b"Bearer t/?": User("jane")}), headers)


def test_a_certificate_comes_before_the_token_of_a_websocket() -> None:
    node = User("node")
    assert identify(Authenticator({}), websocket(f"a, {BEARER}eA"), node) is node
