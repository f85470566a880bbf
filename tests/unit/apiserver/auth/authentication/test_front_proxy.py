"""Whom a front proxy's headers name, and whose headers count."""

from __future__ import annotations

import pytest

from apiserver.auth.authentication.front_proxy import FrontProxy, FrontProxySettings, ProxyCertificate
from apiserver.request.user import User
from componentbase.net.http1_exchange import PeerCertificate

PROXIES, CLIENTS, BOTH = "proxies", "clients", "both"
SETTINGS = FrontProxySettings(frozenset({PROXIES, BOTH}), frozenset({CLIENTS, BOTH}), frozenset({"front"}))
TRUSTED = ProxyCertificate(True, None)


def certificate(name: str, authority: str) -> PeerCertificate:
    return PeerCertificate(((("commonName", name),),), "", authority)


@pytest.mark.parametrize(
    ("name", "authority", "identity"),
    [
        ("front", PROXIES, ProxyCertificate(True, None)),
        ("other", PROXIES, ProxyCertificate(False, None)),
        ("front", CLIENTS, User("front", "", ("system:authenticated",))),
        ("front", BOTH, ProxyCertificate(True, User("front", "", ("system:authenticated",)))),
        ("other", BOTH, ProxyCertificate(False, User("other", "", ("system:authenticated",)))),
        ("front", "", None),
        ("front", "foreign", None),
    ],
)
def test_the_authority_and_the_name_make_a_proxy(name: str, authority: str, identity: object) -> None:
    assert FrontProxy(SETTINGS).identity(certificate(name, authority)) == identity


def test_the_headers_name_the_user_and_are_taken_out() -> None:
    headers = [
        (b"x-remote-user", b"joe"),
        (b"x-remote-group", b"a"),
        (b"x-remote-group", b"b"),
        (b"x-remote-uid", b"7"),
        (b"x-remote-extra-acme.com%2fproject", b"x"),
        (b"accept", b"*/*"),
    ]
    user = FrontProxy(SETTINGS).user(TRUSTED, headers)
    assert user == User("joe", "7", ("a", "b", "system:authenticated"), (("acme.com/project", ("x",)),))
    assert headers == [(b"accept", b"*/*")]


def test_of_several_names_the_first_with_a_value_counts() -> None:
    settings = FrontProxySettings(frozenset(), frozenset(), user_headers=(b"x-a", b"x-b"))
    user = FrontProxy(settings).user(TRUSTED, [(b"x-b", b"joe"), (b"x-a", b"")])
    assert user is not None
    assert user.name == "joe"


@pytest.mark.parametrize("name", [b"system:anonymous"])
def test_anonymous_stays_anonymous(name: bytes) -> None:
    headers = [(b"x-remote-user", name), (b"x-remote-group", b"system:unauthenticated")]
    user = FrontProxy(SETTINGS).user(TRUSTED, headers)
    assert user == User("system:anonymous", "", ("system:unauthenticated",))


@pytest.mark.parametrize("proxy", [TRUSTED, ProxyCertificate(False, None)])
def test_a_proxy_that_names_nobody_or_has_another_name_is_none(proxy: ProxyCertificate) -> None:
    headers = [(b"x-remote-group", b"system:masters")] if proxy.allowed else [(b"x-remote-user", b"joe")]
    assert FrontProxy(SETTINGS).user(proxy, headers) is None
