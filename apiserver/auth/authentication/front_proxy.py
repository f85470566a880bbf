"""Users whom a front proxy names in headers, as the aggregation layer does: the proxy's certificate vouches for them.

Only the certificate counts: from anyone else the headers mean nothing.
Source: Kubernetes documentation, "Authenticating", "Authenticating proxy".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from apiserver.http.types import Header
from apiserver.request.user import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, User, common_name, user_of_subject
from componentbase.net.http1_exchange import PeerCertificate


@dataclass(frozen=True, slots=True)
class FrontProxySettings:
    """The server's options about front proxies. Header names are in lower case."""

    authorities: frozenset[str]
    """The certificates of the authorities that vouch for proxies: SHA-256 of the DER form, in hexadecimal."""
    client_authorities: frozenset[str]
    """The same of those that vouch for users. An authority may be both."""
    allowed_names: frozenset[str] = frozenset()
    """Common names that a proxy may have; any when empty."""
    user_headers: tuple[bytes, ...] = (b"x-remote-user",)
    """The first of these headers that has a value names the user."""
    uid_headers: tuple[bytes, ...] = (b"x-remote-uid",)
    group_headers: tuple[bytes, ...] = (b"x-remote-group",)
    extra_prefixes: tuple[bytes, ...] = (b"x-remote-extra-",)


@dataclass(frozen=True, slots=True)
class ProxyCertificate:
    """A certificate that an authority of front proxies has signed."""

    allowed: bool
    """Its common name is one of a proxy."""
    user: User | None
    """The user that it stands for by itself, where its authority vouches for users too."""


class FrontProxy:
    def __init__(self, settings: FrontProxySettings) -> None:
        self._settings = settings

    def identity(self, certificate: PeerCertificate) -> User | ProxyCertificate | None:
        """None for a certificate whose authority is not known for sure."""
        settings = self._settings
        user = None
        if certificate.authority in settings.client_authorities:
            user = user_of_subject(certificate.subject, certificate.digest)
        if certificate.authority not in settings.authorities:
            return user
        names = settings.allowed_names
        return ProxyCertificate(not names or common_name(certificate.subject) in names, user)

    def user(self, certificate: ProxyCertificate, headers: list[Header]) -> User | None:
        """The user that the proxy names; None if it names nobody, or if the certificate is not a proxy's.

        The headers of a proxy are taken out of the list: nothing behind this server is to believe them.
        """
        if not certificate.allowed:
            return None
        settings = self._settings
        name = _first(headers, settings.user_headers)
        if not name:
            return None
        uid = _first(headers, settings.uid_headers)
        groups = [_text(value) for wanted in settings.group_headers for header, value in headers if header == wanted]
        extra: dict[str, list[str]] = {}
        for prefix in settings.extra_prefixes:
            for header, value in headers:
                if header.startswith(prefix):
                    key = unquote(header.removeprefix(prefix).decode("latin-1"))
                    extra.setdefault(key, []).append(_text(value))
        own = {*settings.user_headers, *settings.uid_headers, *settings.group_headers}
        headers[:] = [
            item for item in headers if item[0] not in own and not item[0].startswith(settings.extra_prefixes)
        ]
        if name != ANONYMOUS.name and AUTHENTICATED not in groups and UNAUTHENTICATED not in groups:
            groups.append(AUTHENTICATED)
        return User(name, uid, tuple(groups), tuple((key, tuple(values)) for key, values in extra.items()))


def _first(headers: Sequence[Header], names: Sequence[bytes]) -> str:
    return next((_text(value) for name in names for header, value in headers if header == name and value), "")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
