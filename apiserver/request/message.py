"""A request and a response as the handlers see them, between the HTTP server and the API's own code."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote_plus

import orjson

from apimachinery.errors import BadRequest, StatusError
from apimachinery.names import path_segment_errors
from apimachinery.selectors import parse_field_selector
from apiserver.http.negotiation import PLAIN, Representation, for_reader, negotiate
from apiserver.http.types import MAX_BODY_BYTES, Header, body_too_large
from apiserver.request.info import RequestInfo
from apiserver.request.query import parse_bool
from apiserver.request.user import ANONYMOUS, User
from componentbase.net.http1_exchange import BodyTooLarge, HttpExchange

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
COMMON_HEAD = b"cache-control: no-cache, private\r\naudit-id: %b\r\n"
SELECTING_VERBS = frozenset({"list", "watch", "deletecollection"})


class AuditRecord:
    """What the audit notes of a request while it is served. Nothing is made where no rule asks for it."""

    __slots__ = (
        "annotations",
        "fields",
        "gzip",
        "managed_fields",
        "most",
        "request_body",
        "response",
        "size",
        "stages",
    )

    def __init__(self, fields: dict[str, Any], stages: frozenset[str], most: int, *, managed_fields: bool) -> None:
        self.fields = fields
        self.stages = stages
        self.annotations: dict[str, str] = {}
        self.request_body = b""
        self.response: list[bytes] = []
        self.size = 0
        self.most = most
        """Bytes of an answer that are kept; 0 where the answer is not told."""
        self.gzip = False
        self.managed_fields = managed_fields

    def note_response(self, piece: bytes) -> None:
        if self.size < self.most:
            self.response.append(piece[: self.most - self.size])
        self.size += len(piece)


class Request:
    """One API request as handlers see it. `query` is parsed once; the body is read when a handler asks for it."""

    __slots__ = (
        "_query",
        "_representation",
        "audit",
        "audit_id",
        "exchange",
        "head",
        "headers",
        "info",
        "method",
        "query_string",
        "user",
    )

    info: RequestInfo
    """The resource and verb; set as soon as the path has been read."""
    user: User
    """The sender: anonymous until the credential has been checked."""
    head: bytes
    """Header lines that every answer to it has."""

    def __init__(self, exchange: HttpExchange, audit_id: bytes) -> None:
        self.exchange = exchange
        self.method = exchange.method
        self.query_string = exchange.query_string
        self.headers = exchange.headers
        self.user = ANONYMOUS
        self.audit_id = audit_id
        self.head = COMMON_HEAD % audit_id
        self.audit: AuditRecord | None = None
        self._query: dict[str, list[str]] | None = None
        self._representation: Representation | None = None

    def header(self, name: bytes) -> bytes:
        """The first value of a header, by its lower-case name; b"" when absent."""
        for key, value in self.headers:
            if key == name:
                return value
        return b""

    @property
    def query(self) -> dict[str, list[str]]:
        if self._query is None:
            self._query = parse_query(self.query_string)
        return self._query

    def parameter(self, name: str) -> str:
        """The first value of a query parameter; "" when absent."""
        values = self.query.get(name)
        return values[0] if values else ""

    @property
    def asks_watch(self) -> bool:
        """True if the query has a `watch` that is not false."""
        if b"watch" not in self.query_string and b"%" not in self.query_string:
            return False
        try:
            return parse_bool(self.query, "watch")
        except BadRequest:  # not UTF-8: told by whoever needs a parameter
            return False

    @property
    def asked_info(self) -> RequestInfo:
        """What is authorized: a list or watch whose field selector names one object is about that object alone."""
        info = self.info
        if info.name or info.verb not in SELECTING_VERBS or b"fieldSelector" not in self.query_string:
            return info
        try:
            fields = parse_field_selector(self.parameter("fieldSelector"))
        except BadRequest:  # told by the handler
            return info
        name = fields.exact("metadata.name") if info.verb != "deletecollection" else None
        return info._replace(fields=fields, name=name if name and not path_segment_errors(name) else "")

    @property
    def representation(self) -> Representation:
        """The representation to answer in. Raises: NotAcceptable."""
        if self._representation is None:
            accept = user_agent = b""
            for key, value in self.headers:
                if key == b"accept":
                    accept = accept or value
                elif key == b"user-agent":
                    user_agent = value
            self._representation = for_reader(
                negotiate(accept), user_agent, self.parameter("pretty") if self.query_string else ""
            )
        return self._representation

    def refuse_transformed(self) -> None:
        """Leaves the plain object as the only answer: nothing is a row of a Table or has metadata of its own.

        Raises: NotAcceptable.
        """
        if self.representation.shape:
            plain = negotiate(self.header(b"accept"), transformed=False)
            self._representation = replace(plain, pretty=self.representation.pretty)

    def check_acceptable(self) -> None:
        """Refuses what could not be answered, before anything is done. Raises: NotAcceptable."""
        _ = self.representation  # the property raises

    @property
    def representation_for_error(self) -> Representation:
        """The same for a Status, which even a client gets that accepts nothing that there is."""
        try:
            return self.representation
        except StatusError:
            return PLAIN

    async def body(self) -> bytes:
        """The whole body. Raises: RequestEntityTooLarge above MAX_BODY_BYTES, ClientDisconnected."""
        length = self.header(b"content-length")
        if length and int(length) > MAX_BODY_BYTES:
            self.exchange.keep_alive = False
            raise body_too_large()
        try:
            body = await self.exchange.read_body()
        except BodyTooLarge:
            raise body_too_large() from None
        if self.audit is not None:
            self.audit.request_body = body
        return body


def parse_query(raw: bytes) -> dict[str, list[str]]:
    """ "a=1&b=x%2Cy" -> {"a": ["1"], "b": ["x,y"]}. Raises: BadRequest for bytes that are not UTF-8."""
    query: dict[str, list[str]] = {}
    if not raw:
        return query
    try:
        text = raw.decode()
        for pair in text.split("&"):
            if not pair:
                continue
            name, _, value = pair.partition("=")
            if "%" in pair or "+" in pair:
                name, value = unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")
            query.setdefault(name, []).append(value)
    except UnicodeDecodeError:
        raise BadRequest("the query string is not valid UTF-8") from None
    return query


class Response:
    """A whole answer, held in memory."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self, body: bytes, status: int = 200, content_type: bytes = JSON, headers: list[Header] | None = None
    ) -> None:
        self.body = body
        self.status = status
        self.content_type = content_type
        self.headers = headers


class Stream:
    """An answer sent chunk by chunk until `chunks` ends or the client leaves; `close` runs in either case.

    `length` is the size of the whole in bytes where it is known. A client that reads nothing for `patience_seconds` is
    cut off.
    """

    __slots__ = ("chunks", "close", "content_type", "gzip", "length", "patience_seconds", "status")

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        *,
        close: Callable[[], None] | None = None,
        content_type: bytes = JSON,
        status: int = 200,
        length: int | None = None,
        gzip: bool = False,
        patience_seconds: float = 60.0,
    ) -> None:
        self.chunks = chunks
        self.close = close
        self.content_type = content_type
        self.status = status
        self.length = length
        self.gzip = gzip
        self.patience_seconds = patience_seconds


@dataclass(frozen=True, slots=True)
class Answered:
    """The handler has answered through the exchange itself, as after an upgrade: nothing is left to send."""

    status: int


Answer = Response | Stream | Answered


def status_response(error: StatusError, *, continue_token: str = "") -> Response:
    """`continue_token` lets a client whose list expired take the rest of it as it is now."""
    headers: list[Header] | None = None
    if error.retry_after_seconds is not None:
        headers = [(b"retry-after", str(error.retry_after_seconds).encode())]
    status = error.to_status()
    if continue_token:
        status["metadata"] = {"continue": continue_token}
    return Response(orjson.dumps(status), error.code, headers=headers)


def json_response(value: object, status: int = 200, headers: list[Header] | None = None) -> Response:
    return Response(orjson.dumps(value), status, headers=headers)
