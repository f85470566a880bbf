"""Sends typed requests to the API server: a model goes out, a model comes back, a failure is a StatusError."""

from __future__ import annotations

import builtins
import copy
import math
import random
import re
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol, Self, TypeVar
from urllib.parse import urlencode

import orjson
from prometheus_client import Counter, Histogram

from apimachinery.errors import Conflict
from apimachinery.meta import Object
from apimachinery.model import decode
from apimachinery.resource import Resource, resource_of
from componentbase.clock import Clock
from componentbase.flags import version
from componentbase.metrics import LATENCY_BUCKETS
from componentbase.net.authority import join_host_port
from componentbase.net.http1_client import RESPONSE_TIMEOUT_SECONDS, HttpResponse
from componentbase.net.http1_pool import Http1Client
from componentbase.ratelimit import TokenBucket
from kubeclient import wire
from kubeclient.access.config import ClientConfig
from kubeclient.access.tls import CertificateFiles, tls_context
from kubeclient.wire import (
    APPLY_PATCH,
    JSON,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_MERGE_PATCH,
    Listing,
    WatchEvent,
    as_resource,
)  # fmt: skip

__all__ = [
    "JSON_PATCH", "MERGE_PATCH", "STRATEGIC_MERGE_PATCH", "Listing", "RestClient", "WatchEvent", "user_agent",
]  # fmt: skip

RETRIES_ON_REQUEST = 10
"""How often a request is sent again because the server asked for it (429, or 5xx except after a POST)."""
CONFLICT_RETRIES = 10
TOKEN_REREAD_SECONDS = 60.0
"""A token file is read again after this: mounted tokens are rotated."""
WATCH_TIMEOUT_SECONDS = (300, 600)
"""A watch asks to be ended after a random time between these, so that watches spread over API servers."""

T = TypeVar("T", bound=Object)

REQUEST_SECONDS = Histogram(
    "rest_client_request_duration_seconds", "Request latency.", ["verb", "host"], buckets=LATENCY_BUCKETS
)
REQUESTS = Counter("rest_client_requests", "Requests by status code.", ["code", "method", "host"])


class TokenSource(Protocol):
    """Has the bearer token of an identity whose tokens don't last."""

    async def token(self) -> str: ...

    def refused(self, token: str) -> None:
        """Notes that the server answered 401 to this token."""


class RestClient:
    """One cluster, one identity. `async with RestClient(config, user_agent="kubelet") as rest:`

    Where a method takes a model class, a `Resource` does as well: several resources may share one model, as the
    garbage collector's do. Where it takes an object of such a model, `resource` says which one. Raises from every
    method: StatusError for an answer that is an error, ConnectionError or TimeoutError when none came.
    """

    def __init__(
        self,
        config: ClientConfig,
        *,
        user_agent: str,
        max_connections: int = 64,
        on_warning: Callable[[str], None] | None = None,
        clock: Clock | None = None,
        per_second: float = 0.0,
        burst: int = 1,
    ) -> None:
        """`per_second` limits requests other than watches, after the first `burst` of them; 0 for no limit."""
        self.config = config
        self._tokens: TokenSource | None = None
        self._permit: Callable[[], None] | None = None
        self._clock = clock or Clock()
        self._turns = TokenBucket(per_second, burst, self._clock.monotonic()) if per_second else None
        self._turn_seconds = 1 / per_second if per_second else 0.0
        self._user_agent = user_agent
        self._on_warning = on_warning
        self.ssl_context = tls_context(config)
        self._client = Http1Client(
            config.host,
            config.port,
            context=self.ssl_context,
            server_name=config.tls_server_name,
            max_connections=max_connections,
            before_connect=_certificate_follower(config, self.ssl_context),
        )
        self._heads: dict[tuple[str, str], bytes] = {}
        self._token = config.token
        self._token_read_at = -math.inf
        self._metrics: dict[tuple[str, int], tuple[Any, Any]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._client.aclose()

    def renew_certificate(self) -> None:
        """Has all later requests show the client certificate that is in its file now; new connections do anyway."""
        self._client.retire()

    def with_tokens(self, tokens: TokenSource) -> Self:
        """Returns a client that speaks as the owner of the tokens, over the same connections."""
        other = copy.copy(self)
        other._tokens, other._heads = tokens, {}
        return other

    def fenced(self, permit: Callable[[], None]) -> Self:
        """Returns a client that calls `permit` right before a write leaves: what that raises, the write raises."""
        other = copy.copy(self)
        other._permit = permit
        return other

    # reading

    async def get(
        self, model: type[T] | Resource[T], name: str, namespace: str = "", *, resource_version: str = ""
    ) -> T:
        resource = as_resource(model)
        params = {"resourceVersion": resource_version} if resource_version else None
        return decode(resource.model, await self.request("GET", wire.path(resource, namespace, name), params=params))

    async def list(
        self,
        model: type[T] | Resource[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        limit: int = 0,
        accept: str = JSON,
    ) -> Listing[T]:
        """Returns all objects. `limit` is the size of a page, not of the result: every page is fetched."""
        resource = as_resource(model)
        params = wire.selection(label_selector, field_selector)
        if resource_version:
            params["resourceVersion"] = resource_version
        if limit:
            params["limit"] = str(limit)
        path = wire.path(resource, namespace)
        items: list[T] = []
        while True:
            page = decode(
                wire.list_model(resource.model), await self.request("GET", path, params=params, accept=accept)
            )
            items += page.items
            if not page.metadata.continue_:
                break
            params.pop("resourceVersion", None)
            params["continue"] = page.metadata.continue_
        for item in items:
            if item.kind is None:
                wire.identify(item, resource)
        return Listing(items, page.metadata.resourceVersion or "")

    async def watch(
        self,
        model: type[T] | Resource[T],
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        timeout_seconds: int | None = None,
        bookmarks: bool = True,
        accept: str = JSON,
    ) -> AsyncGenerator[WatchEvent[T], None]:
        """Yields events after `resource_version`, until the server ends the watch, normally after `timeout_seconds`.

        Close the iterator (`contextlib.aclosing`) when leaving it early. Raises: Expired when the server no longer
        knows that revision; ConnectionError when the connection broke.
        """
        resource = as_resource(model)
        params = {"watch": "1"} | wire.selection(label_selector, field_selector)
        params["timeoutSeconds"] = str(timeout_seconds or random.randint(*WATCH_TIMEOUT_SECONDS))
        if resource_version:
            params["resourceVersion"] = resource_version
        if bookmarks:
            params["allowWatchBookmarks"] = "true"
        envelope = wire.event_model(resource.model)
        async with self.stream("GET", wire.path(resource, namespace), params=params, accept=accept) as chunks:
            rest = b""
            async for chunk in chunks:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line:
                        yield wire.decode_event(envelope, line)

    # writing

    async def create(self, obj: T, *, subresource_of: str = "", resource: Resource[T] | None = None) -> T:
        """Sends a POST to the collection, or to `subresource_of`: "web-1/eviction"."""
        return decode(type(obj), await self.post(obj, subresource_of=subresource_of, resource=resource))

    async def post(self, obj: T, *, subresource_of: str = "", resource: Resource[T] | None = None) -> bytes:
        """Does what `create` does, and returns the answer as it came: decoding it is a third of the cost."""
        resource = resource or resource_of(type(obj))
        namespace = obj.namespace
        path = wire.path(resource, namespace)
        if subresource_of:
            path += "/" + "/".join(map(wire.quoted, subresource_of.split("/")))
        return await self.request("POST", path, body=wire.body(obj, resource))

    async def update(self, obj: T, subresource: str = "", *, resource: Resource[T] | None = None) -> T:
        resource = resource or resource_of(type(obj))
        path = wire.path(resource, obj.namespace, obj.name, subresource)
        return decode(type(obj), await self.request("PUT", path, body=wire.body(obj, resource)))

    async def patch(
        self,
        model: type[T] | Resource[T],
        name: str,
        namespace: str,
        patch: dict[str, Any] | builtins.list[Any],
        *,
        content_type: str = MERGE_PATCH,
        subresource: str = "",
    ) -> T:
        resource = as_resource(model)
        path = wire.path(resource, namespace, name, subresource)
        data = await self.request("PATCH", path, body=orjson.dumps(patch), content_type=content_type)
        return decode(resource.model, data)

    async def apply(
        self,
        model: type[T] | Resource[T],
        manifest: dict[str, Any],
        *,
        field_manager: str,
        force: bool = False,
        subresource: str = "",
    ) -> T:
        """Applies, on the server, the fields that `manifest` names; those that it no longer names are removed.

        The manifest needs `metadata.name` and, for what lives in one, `metadata.namespace`. Raises: Conflict where
        another manager owns one of the fields, unless `force`.
        """
        resource = as_resource(model)
        meta = manifest["metadata"]
        path = wire.path(resource, meta.get("namespace", ""), meta["name"], subresource)
        data = await self.request(
            "PATCH",
            path,
            params={"fieldManager": field_manager, "force": "true" if force else "false"},
            body=orjson.dumps({"apiVersion": resource.api_version, "kind": resource.kind, **manifest}),
            content_type=APPLY_PATCH,
        )
        return decode(resource.model, data)

    async def update_with(
        self,
        model: type[T] | Resource[T],
        name: str,
        namespace: str,
        change: Callable[[T], T | None],
        *,
        subresource: str = "",
    ) -> T:
        """Reads the object, lets `change` edit it, and puts what that returns, if anything.

        After a conflict it starts over on a fresh read. Raises: Conflict after CONFLICT_RETRIES of them.
        """
        resource = as_resource(model)
        for attempt in range(CONFLICT_RETRIES):
            current = await self.get(resource, name, namespace)
            changed = change(current)
            if changed is None:
                return current
            path = wire.path(resource, namespace, name, subresource)
            try:
                return decode(resource.model, await self.request("PUT", path, body=wire.body(changed, resource)))
            except Conflict:
                if attempt == CONFLICT_RETRIES - 1:
                    raise
                await self._clock.sleep(random.uniform(0, 0.01 * 2**attempt))
        raise AssertionError("unreachable")

    async def delete(
        self,
        model: type[T] | Resource[T],
        name: str,
        namespace: str = "",
        *,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> None:
        """`uid` and `resource_version` are preconditions: Conflict when the stored object has others."""
        options = wire.delete_options(grace_period_seconds, propagation_policy, uid, resource_version)
        await self.request("DELETE", wire.path(as_resource(model), namespace, name), body=options)

    async def delete_collection(
        self,
        model: type[T] | Resource[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
    ) -> None:
        params = wire.selection(label_selector, field_selector)
        options = wire.delete_options(grace_period_seconds, propagation_policy)
        await self.request("DELETE", wire.path(as_resource(model), namespace), params=params, body=options)

    async def bind(self, namespace: str, pod_name: str, node_name: str, *, uid: str = "") -> None:
        """Assigns a pod to a node. Raises: Conflict when it is bound already, or `uid` is another pod's."""
        metadata = {"name": pod_name, "namespace": namespace} | ({"uid": uid} if uid else {})
        target = {"apiVersion": "v1", "kind": "Node", "name": node_name}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}
        path = f"/api/v1/namespaces/{wire.quoted(namespace)}/pods/{wire.quoted(pod_name)}/binding"
        await self.request("POST", path, body=orjson.dumps(binding))

    # any path

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
        accept: str = JSON,
        timeout_seconds: float = RESPONSE_TIMEOUT_SECONDS,
    ) -> bytes:
        """Sends a request and returns the response's body; sends it again when the server asks so by Retry-After."""
        if self._tokens is not None:
            await self._renew_token(self._tokens)
        data = self._encode(method, path, params, body, content_type, accept)
        permit = self._permit if method != "GET" else None
        for attempt in range(RETRIES_ON_REQUEST + 1):
            while self._turns is not None and not self._turns.take(self._clock.monotonic()):
                await self._clock.sleep(self._turn_seconds)
            started = time.monotonic()
            response = await self._client.exchange(method.encode(), data, timeout_seconds, permit)
            self._observe(method, response.status, time.monotonic() - started)
            if self._on_warning is not None:
                self._show_warnings(response)
            if response.status < 400:
                return response.body
            self._note_refusal(response.status)
            retry_after = response.header(b"retry-after")
            # After a 5xx a creation may have happened: only the caller knows what a second one would mean.
            again = response.status == 429 or (response.status >= 500 and method != "POST")
            if not again or not retry_after.isdigit() or attempt == RETRIES_ON_REQUEST:
                raise wire.error(response.status, response.body, retry_after)
            await self._clock.sleep(int(retry_after) * random.uniform(1.0, 1.2))
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        accept: str = JSON,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Opens a response whose body is read as it comes: watches and logs. Yields an iterator of chunks."""
        if self._tokens is not None:
            await self._renew_token(self._tokens)
        data = self._encode(method, path, params, None, JSON, accept)
        started = time.monotonic()
        stream = await self._client.open_stream(data)
        try:
            self._observe(method, stream.status, time.monotonic() - started)
            if stream.status >= 400:
                self._note_refusal(stream.status)
                retry_after = stream.header(b"retry-after").decode("latin-1")
                raise wire.error(stream.status, await stream.read(), retry_after)
            yield stream.__aiter__()
        finally:
            stream.close()

    def _identity_headers(self) -> Iterator[tuple[str, str]]:
        yield "User-Agent", self._user_agent
        if token := self._bearer_token():
            yield "Authorization", f"Bearer {token}"
        if self.config.impersonation is not None:
            yield from self.config.impersonation.headers()

    def _encode(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        content_type: str,
        accept: str,
    ) -> bytes:
        head = self._heads.get((content_type, accept))
        if head is None or self.config.token_file:
            head = self._heads[(content_type, accept)] = self._head(content_type, accept)
        target = self.config.path_prefix + path if self.config.path_prefix else path
        if params:
            target += "?" + urlencode(params)
        if body is None:
            return b"%s %s HTTP/1.1\r\n%s\r\n" % (method.encode(), target.encode("ascii"), head)
        return b"%s %s HTTP/1.1\r\n%scontent-length: %d\r\n\r\n%s" % (
            method.encode(), target.encode("ascii"), head, len(body), body,
        )  # fmt: skip

    def _head(self, content_type: str, accept: str) -> bytes:
        config = self.config
        lines = [
            f"host: {join_host_port(config.host, config.port)}",
            f"accept: {accept}",
            f"content-type: {content_type}",
        ]
        lines += [f"{name.lower()}: {value}" for name, value in self._identity_headers()]
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("a header must be one line")
        return "".join(line + "\r\n" for line in lines).encode("latin-1")

    def _bearer_token(self) -> str:
        if self.config.token_file and self._clock.monotonic() - self._token_read_at > TOKEN_REREAD_SECONDS:
            with open(self.config.token_file, encoding="ascii") as file:
                self._token = file.read().strip()
            self._token_read_at = self._clock.monotonic()
        return self._token

    async def _renew_token(self, tokens: TokenSource) -> None:
        token = await tokens.token()
        if token != self._token:
            self._token = token
            self._heads.clear()

    def _note_refusal(self, status: int) -> None:
        if status == 401 and self._tokens is not None:
            self._tokens.refused(self._token)

    def _observe(self, method: str, status: int, seconds: float) -> None:
        metrics = self._metrics.get((method, status))
        if metrics is None:
            host = f"{self.config.host}:{self.config.port}"
            metrics = (REQUEST_SECONDS.labels(method, host), REQUESTS.labels(str(status), method, host))
            self._metrics[(method, status)] = metrics
        metrics[0].observe(seconds)
        metrics[1].inc()

    def _show_warnings(self, response: HttpResponse) -> None:
        assert self._on_warning is not None
        for name, value in response.headers:
            if name == b"warning":
                match = re.match(r'299 \S+ "((?:[^"\\]|\\.)*)"', value.decode("utf-8", "replace"))
                if match:
                    self._on_warning(re.sub(r"\\(.)", r"\1", match[1]))


def _certificate_follower(config: ClientConfig, context: ssl.SSLContext | None) -> Callable[[], None]:
    """Returns what to do before each connection, so that it shows a certificate that was renewed meanwhile."""
    if context is None or config.cert_data or not config.cert_file:
        return lambda: None
    return CertificateFiles(config, context).follow


def user_agent(component: str) -> str:
    """ "kubelet" -> "kubelet/v1.35.0"."""
    return f"{component}/{version()}"
