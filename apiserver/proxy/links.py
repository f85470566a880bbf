"""Keeps the links of a page that is served through a proxy below the proxy's own path.

A link that begins with a slash, or that names the server behind the proxy, gets the path in front; others stay.
Source: Kubernetes' proxies of nodes, pods and services; HTML, "Attributes" (those that hold a URL).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from apiserver.http.types import Header

URL_ATTRIBUTES: dict[bytes, frozenset[bytes]] = {
    tag: frozenset(names.split())
    for tags, names in (
        (b"a area link", b"href"),
        (b"base", b"href"),
        (b"audio embed script source track", b"src"),
        (b"video", b"src poster"),
        (b"img", b"src longdesc usemap"),
        (b"input", b"src usemap formaction"),
        (b"frame iframe", b"src longdesc"),
        (b"object", b"data codebase classid usemap"),
        (b"applet", b"codebase"),
        (b"form", b"action"),
        (b"button", b"formaction"),
        (b"blockquote del ins q", b"cite"),
        (b"body", b"background"),
        (b"command", b"icon"),
        (b"head", b"profile"),
        (b"html", b"manifest"),
    )
    for tag in tags.split()
}
RAW_TEXT_ENDS = {tag: re.compile(b"</" + tag, re.IGNORECASE) for tag in (b"script", b"style", b"textarea", b"title")}
"""Elements whose content has no tags but their own end."""
MAX_END_BYTES = len("</textarea")
MAX_TAG_BYTES = 64 * 1024  # a longer one is passed on as it is
MAX_DECODED_BYTES = 256 * 1024  # of a compressed page at once

_START_TAG = re.compile(rb"""<([a-zA-Z][^\s/>]*+)((?:[^"'>]++|"[^"]*+"|'[^']*+')*+)>""")
_ATTRIBUTE = re.compile(rb"""([^\s"'<>/=]+)(\s*=\s*["']?)((?<=")[^"]*|(?<=')[^']*|[^\s"'=<>`]+)""")
_COMMENT_END = re.compile(b"-->")
_WITH_HOST = re.compile(r"(?:https?:)?//([^/?#]*)(/.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class LinkMapper:
    """`prefix` is the path below which the client sees the server behind; `hosts` are all names of either server."""

    prefix: str
    host: str
    hosts: frozenset[str]

    def mapped(self, url: str) -> str:
        """Returns the URL that the client has to ask for."""
        if url.startswith("/") and not url.startswith("//"):
            return self._below(url)
        absolute = _WITH_HOST.fullmatch(url)
        if absolute is None or absolute[1] not in self.hosts:
            return url
        return f"https://{self.host}{self._below(absolute[2])}"

    def _below(self, path: str) -> str:
        return path if path.startswith(self.prefix) else self.prefix + path


class PageRewriter:
    """Takes a page in pieces. Anything but the URLs in start tags comes out byte by byte as it went in."""

    def __init__(self, mapper: LinkMapper) -> None:
        self._mapper = mapper
        self._buffer, self._position = b"", 0
        self._until: re.Pattern[bytes] | None = None  # inside a comment or raw text: what ends it

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yields as much as is certain by now."""
        self._buffer, self._position = self._buffer[self._position :] + data, 0
        yield b"".join(iter(self._next, None))

    def end(self) -> bytes:
        """Returns what has been held back: a tag that is not complete."""
        return self._buffer[self._position :]

    def _next(self) -> bytes | None:
        """Gives the next piece of the page, which is a tag or has none; None when its end is not there yet."""
        buffer, begin = self._buffer, self._position
        if self._until is not None:
            if stop := self._until.search(buffer, begin):
                self._until = None
                return self._passed(stop.start())
            return self._passed(max(begin, len(buffer) - MAX_END_BYTES)) or None
        if (tag_begin := buffer.find(b"<", begin)) != begin:
            return self._passed(tag_begin if tag_begin > 0 else len(buffer)) or None
        if tag := _START_TAG.match(buffer, begin):
            self._position = tag.end()
            self._until = RAW_TEXT_ENDS.get(tag[1].lower())
            return self._rewritten(tag)
        if buffer.startswith(b"<!--", begin):
            self._until = _COMMENT_END
            return self._passed(begin + 4)
        start = buffer[begin : begin + 4]
        if len(buffer) - begin < MAX_TAG_BYTES and (start[1:2].isalpha() or b"<!--".startswith(start)):
            return None
        return self._passed(begin + 1)

    def _passed(self, end: int) -> bytes:
        piece, self._position = self._buffer[self._position : end], end
        return piece

    def _rewritten(self, tag: re.Match[bytes]) -> bytes:
        names = URL_ATTRIBUTES.get(tag[1].lower())
        if names is None:
            return tag[0]

        def attribute(match: re.Match[bytes]) -> bytes:
            if match[1].lower() not in names:
                return match[0]
            return match[1] + match[2] + self._mapper.mapped(match[3].decode("latin-1")).encode("latin-1")

        return b"<" + tag[1] + _ATTRIBUTE.sub(attribute, tag[2]) + b">"


class _CompressedPage(PageRewriter):
    """Takes a compressed page, and gives it uncompressed."""

    def __init__(self, mapper: LinkMapper) -> None:
        super().__init__(mapper)
        self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or deflate, by its head

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Raises: ConnectionError for data that is not compressed."""
        try:
            while data:
                yield from super().feed(self._decoder.decompress(data, MAX_DECODED_BYTES))
                data = self._decoder.unconsumed_tail
        except zlib.error as error:
            raise ConnectionError(f"the page is not compressed as it says: {error}") from None


def page_rewriter(status: int, headers: Sequence[Header], mapper: LinkMapper) -> PageRewriter | None:
    """Chooses by the head of an answer; None for what is not a page, a part of one, or one in an unknown encoding."""
    fields = dict(headers)
    if fields.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"text/html" or status == 206:
        return None
    encoding = fields.get(b"content-encoding", b"").lower()
    if encoding in (b"gzip", b"deflate"):
        return _CompressedPage(mapper)
    return PageRewriter(mapper) if encoding in (b"", b"identity") else None
