"""Sends requests to the API, blocking and on plain dicts: a command line handles kinds it has no model of.

It uses Python's own `http.client`: to import it takes a fifth of the time that httpx takes, and a command's start is
most of what its user waits for.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import socket
import ssl
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from apimachinery.errors import StatusError, from_status
from kubeclient.access.config import ClientConfig
from kubeclient.access.tls import tls_context

Dict = dict[str, Any]

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
USER_AGENT = "kubectl/mini-kubernetes"  # "kubectl" owns the fields of verbs that name no field manager, as upstream
PAGE_SIZE = 500  # objects a list request asks for, as kubectl's --chunk-size
CONNECT_SECONDS = 10.0  # without --request-timeout
CHUNK_BYTES = 64 * 1024

NoAnswer = (OSError, http.client.HTTPException)


class Unreachable(Exception):
    """The API server did not answer."""


def identity_headers(config: ClientConfig) -> list[tuple[str, str]]:
    """The headers that tell who sends a request, and in whose name; none with a certificate alone."""
    token = config.token or (Path(config.token_file).read_text().strip() if config.token_file else "")
    headers = [("Authorization", f"Bearer {token}")] if token else []
    return headers + list(config.impersonation.headers() if config.impersonation is not None else ())


def unreachable(url: str, error: Exception) -> Unreachable:
    """Words the failure to get an answer from `url` as kubectl does."""
    server = urlsplit(url)
    if isinstance(error, socket.gaierror):
        return Unreachable(f"Unable to connect to the server: dial tcp: lookup {server.hostname}: no such host")
    if isinstance(error, ConnectionRefusedError):
        return Unreachable(
            f"The connection to the server {server.netloc} was refused - did you specify the right host or port?"
        )
    return Unreachable(f"Unable to connect to the server: {error}")


class ApiConnection(http.client.HTTPConnection):
    """One connection; with TLS, the server's certificate must have the name that the configuration gives.

    `identity` are headers of each request; unlike those of `request`, several may have one name.
    """

    def __init__(
        self,
        config: ClientConfig,
        tls: ssl.SSLContext | None,
        timeout_seconds: float,
        identity: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(config.host, config.port, timeout=timeout_seconds)
        self._identity = identity
        self._tls, self._server_name = tls, config.tls_server_name or config.host
        if proxy := _proxy("https" if tls else "http", config.host):
            self.set_tunnel(config.host, config.port)
            self.host, self.port = proxy

    def connect(self) -> None:
        super().connect()
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._server_name)

    def endheaders(self, message_body: Any = None, *, encode_chunked: bool = False) -> None:
        for name, value in self._identity:
            self.putheader(name, value)
        super().endheaders(message_body, encode_chunked=encode_chunked)

    @property
    def usable(self) -> bool:
        """False once the server has closed it: a connection at rest has nothing else to read."""
        return self.sock is not None and not select.select([self.sock], [], [], 0)[0]


def _proxy(scheme: str, host: str) -> tuple[str, int] | None:
    """The address of the proxy that the environment names for `host`."""
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib.request import getproxies, proxy_bypass  # here: most have no proxy

    proxies = getproxies()
    url = proxies.get(scheme) or proxies.get("all")
    if not url or proxy_bypass(host):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    return (parts.hostname, parts.port or 80) if parts.hostname else None


class ApiClient:
    """The requests of one user to one API server. Several threads may use it."""

    def __init__(
        self,
        config: ClientConfig,
        timeout_seconds: float | None = None,
        on_warning: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.config = config
        self._timeout_seconds = timeout_seconds
        self._on_warning = on_warning
        self._printed_warnings: set[str] = set()
        self._tls = tls_context(config)
        self._headers = {"User-Agent": USER_AGENT}
        self._identity = identity_headers(config)
        self._idle: list[ApiConnection] = []

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Dict | None = None,
        body: object = None,
        content_type: str = "application/json",
        accept: str = "",
    ) -> Dict:
        """The decoded JSON answer.

        Raises: StatusError for a refused request, Unreachable where there is no server.
        """
        content = None if body is None else json.dumps(body, sort_keys=True).encode()
        answer = self._send(method, path, params, content, content_type, accept)
        return dict(json.loads(answer)) if answer else {}

    def patch(self, path: str, body: object, content_type: str, params: Dict | None = None) -> Dict:
        """The object as it is then. Raises: StatusError, Unreachable."""
        return self.request("PATCH", path, params=params, body=body, content_type=content_type)

    def text(self, path: str, params: Dict | None = None) -> str:
        return self._send("GET", path, params, None, "", "*/*").decode()

    def _send(
        self, method: str, path: str, params: Dict | None, content: bytes | None, content_type: str, accept: str
    ) -> bytes:
        headers = {**self._headers, "Accept": accept or "application/json", "Accept-Encoding": "gzip"}
        if content is not None:
            headers["Content-Type"] = content_type
        try:
            connection = self._connection()
            connection.request(method, self._target(path, params), content, headers)
            response = connection.getresponse()
            answer = response.read()
        except NoAnswer as error:
            raise unreachable(self.config.server, error) from error
        if connection.sock is not None:
            self._idle.append(connection)
        if response.getheader("Content-Encoding") == "gzip":
            answer = zlib.decompress(answer, wbits=zlib.MAX_WBITS | 16)
        self._print_warnings(response)
        if response.status >= 300:
            raise _error(response, answer)
        return answer

    def _connection(self) -> ApiConnection:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.close()
        return self._connect(self._timeout_seconds)

    def _connect(self, read_seconds: float | None) -> ApiConnection:
        connection = ApiConnection(self.config, self._tls, self._timeout_seconds or CONNECT_SECONDS, self._identity)
        connection.connect()
        connection.sock.settimeout(read_seconds)
        return connection

    def _target(self, path: str, params: Dict | None) -> str:
        target = urlsplit(self.config.server).path.rstrip("/") + quote(path, safe="/%:?#[]@!$&'()*+,;=~")
        words = {
            key: str(value).lower() if isinstance(value, bool) else value
            for key, value in (params or {}).items()
            if value not in (None, "", False)
        }
        return target + (("&" if "?" in target else "?") + urlencode(words) if words else "")

    def stream(self, path: str, params: Dict | None = None, accept: str = "*/*") -> Iterator[bytes]:
        """Yields the body as it arrives (logs). Raises: StatusError, Unreachable."""
        try:
            with self._open(path, params, accept) as response:
                while chunk := response.read1(CHUNK_BYTES):
                    yield chunk
        except NoAnswer as error:
            raise unreachable(self.config.server, error) from error

    def watch(self, path: str, params: Dict, accept: str = "") -> Iterator[tuple[str, Dict]]:
        """Yields (type, object) until the server ends the watch.

        Raises: StatusError for an ERROR event.
        """
        try:
            with self._open(path, {**params, "watch": "true"}, accept or "application/json") as response:
                for line in response:
                    if not line.endswith(b"\n"):
                        return  # the server went away mid-stream: the caller resumes or ends, as at a time-out
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise from_status(event["object"])
                    yield event["type"], event["object"]
        except http.client.IncompleteRead:
            return  # as above
        except NoAnswer as error:
            raise unreachable(self.config.server, error) from error

    @contextmanager
    def _open(self, path: str, params: Dict | None, accept: str) -> Iterator[http.client.HTTPResponse]:
        """Opens an answer without an end, on a connection of its own. Raises: StatusError where the server refuses."""
        connection = self._connect(None)
        try:
            connection.request("GET", self._target(path, params), headers={**self._headers, "Accept": accept})
            response = connection.getresponse()
            if response.status >= 300:
                raise _error(response, response.read())
            self._print_warnings(response)
            yield response
        finally:
            connection.close()

    def list(self, path: str, params: Dict | None = None, accept: str = "") -> Dict:
        """A whole list, page by page; the rows of Tables are joined as well. Raises: StatusError, Unreachable."""
        params = {"limit": PAGE_SIZE, **(params or {})}
        whole = self.request("GET", path, params=params, accept=accept)
        field = "rows" if whole.get("kind") == "Table" else "items"
        token = whole.get("metadata", {}).pop("continue", None)
        while token:
            page = self.request("GET", path, params={**params, "continue": token}, accept=accept)
            whole[field] = (whole.get(field) or []) + (page.get(field) or [])
            token = page.get("metadata", {}).get("continue")
        whole.get("metadata", {}).pop("remainingItemCount", None)
        return whole

    def _print_warnings(self, response: http.client.HTTPResponse) -> None:
        for header in response.headers.get_all("Warning") or ():
            # 299 - "text": RFC 7234, with quotes and backslashes escaped
            quoted = header.split(" ", 2)[-1]
            text = re.sub(r"\\(.)", r"\1", quoted.removeprefix('"').removesuffix('"'))
            if text not in self._printed_warnings:
                self._printed_warnings.add(text)
                self._on_warning(text)


def _error(response: http.client.HTTPResponse, answer: bytes) -> StatusError:
    try:
        body = json.loads(answer)
    except ValueError:
        body = None
    if isinstance(body, dict) and body.get("kind") == "Status":
        return from_status(body, response.status)
    return from_status({"message": answer.decode(errors="replace").strip() or response.reason}, response.status)
