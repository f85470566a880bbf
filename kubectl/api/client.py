"""A blocking HTTP client of the API, on plain dicts: a command line handles kinds it has no model of."""

from __future__ import annotations

import json
import re
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from apimachinery.errors import StatusError, from_status
from componentbase.tls import client_context
from kubeclient.config import ClientConfig

# httpx imports its own command line where it can: a third of the time that most verbs take.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
import httpx  # noqa: E402

Dict = dict[str, Any]

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
PAGE_SIZE = 500  # objects a list request asks for, as kubectl's --chunk-size


def tls_context(config: ClientConfig) -> ssl.SSLContext:
    """The TLS settings of a kubeconfig. Raises: OSError, ssl.SSLError for certificates that cannot be read."""
    return client_context(
        ca_file=config.ca_file,
        ca_data=config.ca_data,
        cert_file=config.cert_file,
        key_file=config.key_file,
        cert_data=config.cert_data,
        key_data=config.key_data,
        insecure=config.insecure,
    )


def authorization(config: ClientConfig) -> dict[str, str]:
    """The Authorization header of a token, if there is one."""
    token = config.token or (Path(config.token_file).read_text().strip() if config.token_file else "")
    return {"Authorization": f"Bearer {token}"} if token else {}


class Unreachable(Exception):
    """No answer from the API server."""


def unreachable(url: str, error: httpx.TransportError) -> Unreachable:
    """What users are told when nothing answered at `url`."""
    where = urlsplit(url)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return Unreachable(f"Unable to connect to the server: dial tcp: lookup {where.hostname}: no such host")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError) and "refused" in str(error):
        return Unreachable(
            f"The connection to the server {where.netloc} was refused - did you specify the right host or port?"
        )
    return Unreachable(f"Unable to connect to the server: {error}")


class Api:
    """One connection pool to one API server."""

    def __init__(
        self,
        config: ClientConfig,
        timeout_seconds: float | None = None,
        on_warning: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.config = config
        self._on_warning = on_warning
        self._seen_warnings: set[str] = set()
        headers = {"User-Agent": "mini-kubectl", "Accept": "application/json"} | authorization(config)
        self._http = httpx.Client(
            base_url=config.server,
            verify=tls_context(config) if config.secure else False,
            headers=headers,
            timeout=httpx.Timeout(timeout_seconds, connect=timeout_seconds or 10),
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Dict | None = None,
        body: object = None,
        content_type: str = "application/json",
        accept: str = "",
    ) -> Any:
        """The decoded JSON answer.

        Raises: StatusError for a refused request, Unreachable where there is no server.
        """
        response = self._send(method, path, params, body, content_type, accept)
        return response.json() if response.content else {}

    def text(self, path: str, params: Dict | None = None) -> str:
        return self._send("GET", path, params, None, "", "*/*").text

    def send_raw(self, method: str, path: str, body: bytes | None = None) -> str:
        """The answer as it is, to a body as it is. Raises: StatusError, Unreachable."""
        return self._send(method, path, None, body, "application/json", "").text

    def _send(
        self, method: str, path: str, params: Dict | None, body: object, content_type: str, accept: str
    ) -> httpx.Response:
        headers = {"Accept": accept} if accept else {}
        content: bytes | None = None
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body, sort_keys=True).encode()
            headers["Content-Type"] = content_type
        try:
            response = self._http.request(method, path, params=_clean(params), content=content, headers=headers)
        except httpx.TransportError as error:
            raise unreachable(self.config.server, error) from error
        self._warnings(response)
        if response.status_code >= 300:
            raise _error(response)
        return response

    def stream(self, path: str, params: Dict | None = None, accept: str = "*/*") -> Iterator[bytes]:
        """The body as it arrives (logs)."""
        try:
            with self._open(path, params, accept) as response:
                yield from response.iter_raw()
        except httpx.TransportError as error:
            raise unreachable(self.config.server, error) from error

    def watch(self, path: str, params: Dict, accept: str = "") -> Iterator[tuple[str, Dict]]:
        """(type, object) until the server ends the watch.

        Raises: StatusError for an ERROR event.
        """
        try:
            with self._open(path, {**params, "watch": "true"}, accept or "application/json") as response:
                for line in response.iter_lines():
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise from_status(event["object"])
                    yield event["type"], event["object"]
        except httpx.RemoteProtocolError:
            return  # the server went away mid-stream: the caller resumes or ends, as at a time-out
        except httpx.TransportError as error:
            raise unreachable(self.config.server, error) from error

    def _open(self, path: str, params: Dict | None, accept: str) -> Any:
        return _Stream(
            self._http.stream("GET", path, params=_clean(params), headers={"Accept": accept}, timeout=None),
            self._warnings,
        )

    def list(self, path: str, params: Dict | None = None, accept: str = "") -> Dict:
        """A whole list, page by page; also of Tables, whose rows are joined."""
        params = {"limit": PAGE_SIZE, **(params or {})}
        whole: Dict = self.request("GET", path, params=params, accept=accept)
        field = "rows" if whole.get("kind") == "Table" else "items"
        token = whole.get("metadata", {}).pop("continue", None)
        while token:
            page = self.request("GET", path, params={**params, "continue": token}, accept=accept)
            whole[field] = (whole.get(field) or []) + (page.get(field) or [])
            token = page.get("metadata", {}).get("continue")
        whole.get("metadata", {}).pop("remainingItemCount", None)
        return whole

    def _warnings(self, response: httpx.Response) -> None:
        for header in response.headers.get_list("Warning"):
            # 299 - "text": RFC 7234, with quotes and backslashes escaped
            quoted = header.split(" ", 2)[-1]
            text = re.sub(r"\\(.)", r"\1", quoted.removeprefix('"').removesuffix('"'))
            if text not in self._seen_warnings:
                self._seen_warnings.add(text)
                self._on_warning(text)


class _Stream:
    """An open answer whose refusal is raised on entry."""

    def __init__(self, opening: Any, on_open: Callable[[httpx.Response], None]) -> None:
        self._opening, self._on_open = opening, on_open

    def __enter__(self) -> httpx.Response:
        response: httpx.Response = self._opening.__enter__()
        if response.status_code >= 300:
            try:
                response.read()
                raise _error(response)
            finally:
                self._opening.__exit__(None, None, None)
        self._on_open(response)
        return response

    def __exit__(self, *exc: object) -> None:
        self._opening.__exit__(*exc)


def _clean(params: Dict | None) -> Dict:
    return {key: value for key, value in (params or {}).items() if value not in (None, "", False)}


def _error(response: httpx.Response) -> StatusError:
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict) and body.get("kind") == "Status":
        return from_status(body, response.status_code)
    return from_status({"message": response.text.strip() or response.reason_phrase}, response.status_code)
