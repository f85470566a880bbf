"""URLs: url("https://example.com:80/path?q=1").getHostname() ...

Source: Kubernetes documentation, "CEL in Kubernetes", "Kubernetes URL library".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

from kubecel.functions import Library, per_character
from kubecel.types import Type
from kubecel.values import EvaluationError, Opaque

LIBRARY = Library("urls")


@LIBRARY.value
@dataclass(frozen=True, slots=True)
class URL(Opaque):
    text: str
    parts: SplitResult
    type: ClassVar[Type] = Type("kubernetes.URL")


def _parsed(text: str) -> URL:
    """Raises: ValueError."""
    parts = urlsplit(text)
    _ = parts.port  # raises for what is not a number
    if not (parts.scheme or text.startswith("/")) or any(char <= " " or char == "\x7f" for char in text):
        raise ValueError
    if parts.netloc and any(char in parts.netloc for char in '"<>\\^`{|} '):
        raise ValueError
    return URL(text, parts)


@LIBRARY("url(string): kubernetes.URL", cost=per_character())
def url(text: str) -> URL:
    try:
        return _parsed(text)
    except ValueError:
        raise EvaluationError(
            f'URL parse error during conversion from string: parse "{text}": invalid URI for request'
        ) from None


@LIBRARY("isURL(string): bool", cost=per_character())
def is_url(text: str) -> bool:
    try:
        return bool(_parsed(text))
    except ValueError:
        return False


def _host(value: URL) -> str:
    return value.parts.netloc.rpartition("@")[2]


def _hostname(value: URL) -> str:
    host = _host(value)
    return host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]


LIBRARY.add("kubernetes.URL.getScheme(): string", lambda value: value.parts.scheme)
LIBRARY.add("kubernetes.URL.getHost(): string", _host)
LIBRARY.add("kubernetes.URL.getHostname(): string", _hostname)
LIBRARY.add("kubernetes.URL.getPort(): string", lambda value: str(value.parts.port or ""))


@LIBRARY("kubernetes.URL.getEscapedPath(): string")
def escaped_path(value: URL) -> str:
    return quote(value.parts.path, safe="/%!$&'()*+,;=:@-._~")


@LIBRARY("kubernetes.URL.getQuery(): map(string, list(string))")
def query(value: URL) -> dict[str, list[str]]:
    return parse_qs(value.parts.query, keep_blank_values=True)
