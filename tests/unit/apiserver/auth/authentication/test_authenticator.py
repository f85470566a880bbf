"""Token files, and which of the credentials of a request counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from apimachinery.errors import Forbidden, Unauthorized
from apiserver.auth.authentication.authenticator import Authenticator, TokenFileError, read_token_file
from apiserver.request.user import User


def test_a_token_file_names_users_and_groups(tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text('t1,jane,u1\n\nt2, joe, u2, "a, b"\n')
    users = read_token_file(str(file))
    assert users[b"Bearer t1"] == User("jane", "u1", ("system:authenticated",))
    assert users[b"Bearer t2"] == User("joe", "u2", ("a", "b", "system:authenticated"))


@pytest.mark.parametrize("text", ["t1,jane", "t1", ",jane,u", "t1,,u"])
def test_a_bad_line_of_a_token_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "tokens.csv"
    file.write_text(f"ok,user,uid\n{text}\n")
    with pytest.raises(TokenFileError, match=r"tokens\.csv:2: "):
        read_token_file(str(file))


def test_tokens_come_before_certificates() -> None:
    jane, node = User("jane"), User("node")
    authenticator = Authenticator({b"Bearer t": jane})
    assert authenticator.authenticate([(b"authorization", b"Bearer t")], node) is jane
    assert authenticator.authenticate([(b"authorization", b" bearer   t ")], None) is jane
    assert authenticator.authenticate([(b"accept", b"*/*")], node) is node
    for headers in ([], [(b"authorization", b"Bearer x")], [(b"authorization", b"Basic t")], [(b"authorization", b"")]):
        with pytest.raises(Unauthorized):
            authenticator.authenticate(headers, node if headers else None)


@pytest.mark.parametrize("name", [b"impersonate-user", b"impersonate-group", b"impersonate-extra-scopes"])
def test_nobody_speaks_for_another_user(name: bytes) -> None:
    authenticator = Authenticator({b"Bearer t": User("jane")})
    with pytest.raises(Forbidden, match="doesn't impersonate"):
        authenticator.authenticate([(b"authorization", b"Bearer t"), (name, b"joe")], None)


def websocket(*offered: str) -> list[tuple[bytes, bytes]]:
    headers = [(b"upgrade", b"websocket"), (b"connection", b"keep-alive, Upgrade")]
    return headers + [(b"sec-websocket-protocol", item.encode()) for item in offered]


BEARER = "base64url.bearer.authorization.k8s.io."


def test_the_token_of_a_websocket_is_a_protocol_that_nobody_else_sees() -> None:
    jane = User("jane")
    authenticator = Authenticator({b"Bearer t/?": jane})
    headers = websocket(f"a.k8s.io, {BEARER}dC8_", "b.k8s.io")
    assert authenticator.authenticate(headers, None) is jane
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
        Authenticator({b"Bearer t/?": User("jane")}).authenticate(headers, None)


def test_a_certificate_comes_before_the_token_of_a_websocket() -> None:
    node = User("node")
    assert Authenticator({}).authenticate(websocket(f"a, {BEARER}eA"), node) is node
