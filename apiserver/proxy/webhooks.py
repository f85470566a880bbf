"""Calls a webhook that an object of the API describes: at a URL, or at a Service of the cluster."""

from __future__ import annotations

import asyncio
import base64
import ssl
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson

from apiserver.proxy.services import NoServer, Server, ServiceLocator
from componentbase import tls
from componentbase.net.http1_client import HttpResponse, StaleConnection, request_head
from componentbase.net.http1_pool import Http1Client

MAX_ANSWER_BYTES = 64 << 20
MOST_POOLS = 16  # servers of one webhook to which connections are kept
SHOWN_BYTES = 200  # of an answer that is a failure
HEADERS = ((b"content-type", b"application/json"), (b"accept", b"application/json"), (b"user-agent", b"kube-apiserver"))


class WebhookFailed(Exception):
    """The webhook gave no usable answer; the message says why."""


class ClientConfig(Protocol):
    """What every kind that names a webhook has."""

    url: str | None
    service: Any
    caBundle: str | None


class WebhookClient:
    """Keeps connections to the servers of one webhook."""

    def __init__(self, config: ClientConfig, locator: ServiceLocator) -> None:
        self._config = config
        self._locator = locator
        self._context: ssl.SSLContext | None = None
        self._pools: dict[Server, Http1Client] = {}

    def close(self) -> None:
        """Gives up the connections; those in use end with their call."""
        while self._pools:
            self._pools.popitem()[1].retire()

    async def post(self, body: bytes, timeout_seconds: float) -> dict[str, Any]:
        """Sends a review and returns the answer, an object of JSON. Raises: WebhookFailed, in time."""
        url = ""
        try:
            url = self._url(timeout_seconds)
            async with asyncio.timeout(timeout_seconds):
                answer = await self._exchange(self._head(url, len(body)) + body, timeout_seconds)
        except TimeoutError:
            raise WebhookFailed(f'failed to call webhook: Post "{url}": context deadline exceeded') from None
        except NoServer as error:
            raise WebhookFailed(f'failed to call webhook: Post "{url}": {self._lacking(error)}') from None
        except (OSError, ValueError) as error:
            raise WebhookFailed(f'failed to call webhook: Post "{url}": {error}') from None
        if answer.status != 200:
            shown = answer.body[:SHOWN_BYTES].decode("utf-8", "replace")
            raise WebhookFailed(f"failed to call webhook: the server answered {answer.status}: {shown}")
        try:
            document = orjson.loads(answer.body)
        except ValueError as error:
            raise WebhookFailed(f"the answer is not JSON: {error}") from None
        if not isinstance(document, dict):
            raise WebhookFailed("the answer is not an object")
        return document

    async def _exchange(self, data: bytes, timeout_seconds: float) -> HttpResponse:
        pool = self._pool()
        try:
            return await pool.exchange(b"POST", data, timeout_seconds)
        except StaleConnection:  # a kept connection was closed meanwhile
            return await pool.exchange(b"POST", data, timeout_seconds)

    def _url(self, timeout_seconds: float) -> str:
        service = self._config.service
        if service is None:
            base = self._config.url or ""
        else:
            path = (service.path or "").lstrip("/")
            base = f"https://{service.name}.{service.namespace}.svc:{service.port or 443}/{path}"
        return f"{base}?timeout={timeout_seconds:g}s"

    def _head(self, url: str, length: int) -> bytes:
        parts = urlsplit(url)
        target = f"{parts.path or '/'}?{parts.query}".encode()
        headers = (*HEADERS, (b"host", parts.netloc.encode()), (b"content-length", b"%d" % length))
        return request_head("POST", target, headers)

    def _pool(self) -> Http1Client:
        """Raises: NoServer; OSError and ValueError for an authority that can't be read."""
        server = self._server()
        pool = self._pools.get(server)
        if pool is None:
            if self._context is None:
                authority = self._config.caBundle
                self._context = tls.client_context(ca_data=base64.b64decode(authority).decode() if authority else "")
            if len(self._pools) >= MOST_POOLS:
                self.close()
            pool = self._pools[server] = Http1Client(
                server.host,
                server.port,
                context=self._context,
                server_name=server.name,
                max_answer_bytes=MAX_ANSWER_BYTES,
            )
        return pool

    def _server(self) -> Server:
        service = self._config.service
        if service is not None:
            return self._locator.locate(service.namespace, service.name, service.port or 443)
        url = urlsplit(self._config.url or "")
        return Server(url.hostname or "", url.port or 443, url.hostname or "")

    def _lacking(self, error: NoServer) -> str:
        name = self._config.service.name
        missing = error.reason == "ServiceNotFound"
        return f'service "{name}" not found' if missing else f'no endpoints available for service "{name}"'
