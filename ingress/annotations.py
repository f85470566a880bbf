"""What the annotations of an Ingress ask for, in ingress-nginx's names. Pure.

Everything that goes into the proxy's configuration from here is a number or consists of harmless characters. What is
not served, or not understood, is a `Complaint`; where it was to keep somebody out, the Ingress is closed altogether.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_network

PREFIX = "nginx.ingress.kubernetes.io/"
PROTOCOLS = ("HTTP", "HTTPS", "GRPC", "GRPCS")
MOST_SECONDS = 24 * 3600
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SIZE = re.compile(r"(\d{1,12})([kmg]?)", re.IGNORECASE)
_TARGET = re.compile(r"([A-Za-z0-9/_.~!&()*+,;=:@-]|\$[0-9])*")
_REALM = re.compile(r"[A-Za-z0-9 _.,:()!-]*")
_TOKEN = re.compile(r"[A-Za-z0-9_-]+")
_OBJECT = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_SAME_SITE = ("Lax", "None", "Strict")
_RESTRICTING = ("auth-", "denylist-", "enable-global-auth", "limit-", "satisfy")
"""What begins like this keeps somebody out."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """Says in an event, with this reason, what of an Ingress is not served as it stands."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Affinity:
    """The cookie that keeps a client at one pod."""

    cookie: str = "INGRESSCOOKIE"
    max_age_seconds: int = 0
    same_site: str = ""
    secure: bool = False


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """The Secret with the users: as htpasswd writes them, or one key for each."""

    secret: str
    realm: str = ""
    by_key: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """How the requests of an Ingress are served. Times are in seconds, 0 stands for the proxy's own."""

    rewrite_target: str = ""
    """With $1 for what the first group of the path, a regular expression, matched."""
    use_regex: bool = False
    ssl_redirect: bool = True
    force_ssl_redirect: bool = False
    most_body_bytes: int = 0
    """0 stands for no limit."""
    connect_seconds: int = 0
    idle_seconds: int = 0
    auth: BasicAuth | None = None
    affinity: Affinity | None = None
    protocol: str = "HTTP"
    sources: tuple[str, ...] = ()
    """The networks of the clients that are let in; empty for all."""
    closed: str = ""
    """Why nobody is let in."""


@dataclass(slots=True)
class _Draft:
    settings: Settings = field(default_factory=Settings)
    auth: dict[str, str] = field(default_factory=dict)
    affinity: Affinity = field(default_factory=Affinity)
    has_affinity: bool = False

    def change(self, **values: object) -> None:
        self.settings = replace(self.settings, **values)  # type: ignore[arg-type]


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def _seconds(text: str) -> int:
    """Reads seconds; ingress-nginx has numbers without a unit, and people write one all the same."""
    number = text.removesuffix("s")
    if not (number.isascii() and number.isdigit() and 0 < int(number) <= MOST_SECONDS):
        raise ValueError(f"must be a number of seconds from 1 to {MOST_SECONDS}")
    return int(number)


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("must be a number of bytes, such as 8m")
    return int(match[1]) * _BYTES[match[2].lower()]


def _one_of(text: str, allowed: tuple[str, ...]) -> str:
    for item in allowed:
        if item.lower() == text.lower():
            return item
    raise ValueError(f"must be one of {', '.join(allowed)}")


def _matching(text: str, pattern: re.Pattern[str], what: str) -> str:
    if pattern.fullmatch(text) is None:
        raise ValueError(what)
    return text


def _target(text: str) -> str:
    return _matching(text, _TARGET, "must be a path of unreserved characters, with $1 to $9 for groups")


def _networks(text: str) -> tuple[str, ...]:
    return tuple(str(ip_network(item.strip(), strict=False)) for item in text.split(","))


def _longest_wait(draft: _Draft, text: str) -> None:
    """The proxy knows one idle time for both directions."""
    draft.change(idle_seconds=max(draft.settings.idle_seconds, _seconds(text)))


def _affinity(draft: _Draft, text: str) -> None:
    _one_of(text, ("cookie",))
    draft.has_affinity = True


def _only(allowed: str) -> Callable[[_Draft, str], None]:
    """Returns the reader of what can be said, but has one value alone."""

    def check(draft: _Draft, text: str) -> None:
        _one_of(text, (allowed,))

    return check


def _cookie(**values: object) -> Callable[[_Draft], None]:
    def change(draft: _Draft) -> None:
        draft.affinity = replace(draft.affinity, **values)  # type: ignore[arg-type]

    return change


def _secret_name(draft: _Draft, text: str) -> None:
    draft.auth["secret"] = _matching(text, _OBJECT, "must be the name of a Secret in the Ingress's namespace")


_READERS: Mapping[str, Callable[[_Draft, str], None]] = {
    "affinity": _affinity,
    "affinity-mode": _only("balanced"),
    "auth-realm": lambda draft, text: draft.auth.update(
        realm=_matching(text, _REALM, "must be of letters, digits, spaces and simple punctuation")
    ),
    "auth-secret": _secret_name,
    "auth-secret-type": lambda draft, text: draft.auth.update(kind=_one_of(text, ("auth-file", "auth-map"))),
    "auth-type": lambda draft, text: draft.auth.update(type=_one_of(text, ("basic",))),
    "backend-protocol": lambda draft, text: draft.change(protocol=_one_of(text, PROTOCOLS)),
    "force-ssl-redirect": lambda draft, text: draft.change(force_ssl_redirect=_flag(text)),
    "proxy-body-size": lambda draft, text: draft.change(most_body_bytes=_size(text)),
    "proxy-connect-timeout": lambda draft, text: draft.change(connect_seconds=_seconds(text)),
    "proxy-read-timeout": _longest_wait,
    "proxy-send-timeout": _longest_wait,
    "rewrite-target": lambda draft, text: draft.change(rewrite_target=_target(text)),
    "session-cookie-max-age": lambda draft, text: _cookie(max_age_seconds=_seconds(text))(draft),
    "session-cookie-name": lambda draft, text: _cookie(
        cookie=_matching(text, _TOKEN, "must be of letters, digits, - and _")
    )(draft),
    "session-cookie-path": _only("/"),
    "session-cookie-samesite": lambda draft, text: _cookie(same_site=_one_of(text, _SAME_SITE))(draft),
    "session-cookie-secure": lambda draft, text: _cookie(secure=_flag(text))(draft),
    "ssl-redirect": lambda draft, text: draft.change(ssl_redirect=_flag(text)),
    "use-regex": lambda draft, text: draft.change(use_regex=_flag(text)),
    "allowlist-source-range": lambda draft, text: draft.change(sources=_networks(text)),
    "whitelist-source-range": lambda draft, text: draft.change(sources=_networks(text)),
}


def read(annotations: Mapping[str, str]) -> tuple[Settings, list[Complaint]]:
    """Reads the annotations of an Ingress, in the order of their names."""
    draft, complaints = _Draft(), []
    for name in sorted(annotations):
        key = name.removeprefix(PREFIX)
        if key == name:
            continue
        keeps_out = key.startswith(_RESTRICTING) or key.endswith("-source-range")
        reader = _READERS.get(key)
        if reader is None:
            complaint = Complaint("AnnotationNotServed", f"annotation {name} is not served")
        else:
            try:
                reader(draft, annotations[name].strip())
                continue
            except ValueError as error:
                complaint = Complaint("InvalidAnnotation", f"annotation {name}: {error}")
        complaints.append(complaint)
        if keeps_out:
            draft.change(closed=complaint.message)
    if draft.has_affinity:
        draft.change(affinity=draft.affinity)
    if "type" in draft.auth and not draft.settings.closed:
        _take_auth(draft, complaints)
    return draft.settings, complaints


def _take_auth(draft: _Draft, complaints: list[Complaint]) -> None:
    auth = draft.auth
    if "secret" not in auth:
        message = f"annotation {PREFIX}auth-type needs {PREFIX}auth-secret"
        complaints.append(Complaint("InvalidAnnotation", message))
        draft.change(closed=message)
    else:
        draft.change(auth=BasicAuth(auth["secret"], auth.get("realm", ""), auth.get("kind") == "auth-map"))
