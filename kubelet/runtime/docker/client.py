"""The one client of the Docker Engine: the SDK, whose blocking calls run in one bounded thread pool.

A cancelled call is waited out, because its thread goes on and might act after whatever the caller does next. Answers
that last (logs, events, pulls, exec, attach) are requested by the SDK like all others, but once their head has come the
SDK gives up its socket to the event loop, so that no thread waits for as long as someone reads a log.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import docker
import httptools
import requests
from docker import errors as docker_errors
from docker.utils import version_lt
from prometheus_client import Histogram

from componentbase import metrics
from kubelet.runtime.interface import EngineError, EngineNotFound, RuntimeUnavailable

API_VERSION = "1.41"  # what we need, in engines from 20.10 on; `negotiate` takes a newer one where this is too old
THREADS = 8  # SDK calls at once; more wait their turn
CALL_SECONDS = 120  # no answer for so long means that the engine hangs
READ_BYTES = 64 * 1024  # also the amount that a stream buffers before the engine has to wait
MAX_DOCUMENT_BYTES = 16 * 1024 * 1024  # of one JSON document in an answer that lasts
CLOSE_SECONDS = 1.0

DURATION = Histogram(
    "kubelet_runtime_operations_duration_seconds",
    "Time of calls to the container runtime, waiting for a thread included.",
    ["operation_type"],
    buckets=metrics.LATENCY_BUCKETS,
)

R = TypeVar("R")


class EngineConflict(EngineError):
    """The engine's 409: the name is taken, or the thing is in use."""


class EngineClient:
    """`endpoint` is "unix:///path"; `sdk` has the functions for `call`."""

    def __init__(self, endpoint: str) -> None:
        if not endpoint.startswith("unix://"):
            raise ValueError(f"container runtime endpoint {endpoint!r}: want unix:///path/to/docker.sock")
        self.socket_path = endpoint.removeprefix("unix://")
        self.sdk = docker.APIClient(base_url=endpoint, version=API_VERSION, timeout=CALL_SECONDS, max_pool_size=THREADS)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="docker")

    async def negotiate(self) -> None:
        """Has all later requests name the oldest version of the API that the engine still speaks, if ours is older.

        Raises: as `call`.
        """
        oldest = (await self.call(self.sdk.version, api_version=False)).get("MinAPIVersion") or API_VERSION
        if version_lt(self.sdk.api_version, oldest):
            # The SDK itself asks only while it is made, and blocks.
            self.sdk._version = oldest  # type: ignore[attr-defined]

    async def call(self, function: Callable[..., R], *args: Any, **kwargs: Any) -> R:
        """Runs a function of the SDK in the pool.

        Raises: EngineNotFound for 404, EngineConflict for 409, RuntimeUnavailable, else EngineError, all with the
        engine's message.
        """
        future = self._submit(function, *args, **kwargs)
        with DURATION.labels(function.__name__).time():
            try:
                return await asyncio.shield(future)
            except asyncio.CancelledError:
                await asyncio.wait((future,))
                raise

    async def open(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        upgrade: bool = False,
    ) -> EngineStream:
        """Sends a request whose answer lasts; returns once its head has come. Close the stream in a `finally`.

        With `upgrade`, the connection then carries a process' streams in both directions. Raises: as `call`.
        """
        fields = {**(headers or {}), **({"Connection": "Upgrade", "Upgrade": "tcp"} if upgrade else {})}
        url = f"{self.sdk.base_url}/v{self.sdk.api_version}{quote(path)}"
        future = self._submit(_request_stream, self.sdk, method, url, params, body, fields)
        with DURATION.labels("stream").time():
            try:
                answer = await asyncio.shield(future)
            except asyncio.CancelledError:
                await asyncio.wait((future,))
                if future.exception() is None:
                    future.result().connection.close()
                raise
        try:
            reader, writer = await asyncio.open_unix_connection(sock=answer.connection, limit=READ_BYTES)
        except OSError as error:
            answer.connection.close()
            raise RuntimeUnavailable(f"cannot connect to the container runtime: {error}") from None
        return EngineStream(reader, writer, answer)

    async def documents(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Any]:
        """Returns once the head of the answer has come; the iterator then yields each JSON document as it comes."""
        return _read_documents(await self.open(method, path, params=params, headers=headers))

    async def close(self) -> None:
        await asyncio.to_thread(self._pool.shutdown)
        self.sdk.close()

    def _submit(self, function: Callable[..., R], *args: Any, **kwargs: Any) -> asyncio.Future[R]:
        call = functools.partial(_translated, function, *args, **kwargs)
        return asyncio.get_running_loop().run_in_executor(self._pool, call)


def _translated(function: Callable[..., R], *args: Any, **kwargs: Any) -> R:
    """Calls the SDK and raises the interface's errors for its own."""
    try:
        return function(*args, **kwargs)
    except docker_errors.APIError as error:
        status = error.status_code
        message = str(error.explanation or "").strip() or f"the container runtime answered {status}"
        raise (EngineNotFound if status == 404 else EngineConflict if status == 409 else EngineError)(message) from None
    except (requests.exceptions.RequestException, docker_errors.DockerException, OSError, EOFError) as error:
        raise RuntimeUnavailable(f"cannot connect to the container runtime: {error}") from None


@dataclass(frozen=True, slots=True)
class _Answer:
    """The socket of an answer behind its head. `framing` is the header that says where the body ends."""

    connection: socket.socket
    early: bytes
    upgraded: bool
    framing: bytes


def _request_stream(
    sdk: docker.APIClient,
    method: str,
    url: str,
    params: Mapping[str, str] | None,
    body: Mapping[str, Any] | None,
    headers: Mapping[str, str],
) -> _Answer:
    """Runs in the pool: takes the socket from the SDK, where the SDK itself finds that of a hijacked connection."""
    response = sdk.request(
        method, url, params=params, json=body, headers=dict(headers), stream=True, timeout=CALL_SECONDS
    )
    with contextlib.closing(response):
        try:
            response.raise_for_status()
        except requests.exceptions.HTTPError as error:
            docker_errors.create_api_error_from_http_exception(error)
        if not response.headers:  # http.client takes a head that breaks off for one that is complete
            raise EOFError("the answer is cut short")
        raw: Any = response.raw
        buffered = raw._fp.fp
        buffered.raw._sock.settimeout(0)  # else `peek` would wait for the body
        early = buffered.peek()
        connection = socket.socket(fileno=os.dup(buffered.fileno()))
    connection.setblocking(False)
    fields = response.headers
    upgraded = response.status_code == 101 or "tcp" in fields.get("Upgrade", "").lower()
    name = next((name for name in ("Transfer-Encoding", "Content-Length") if name in fields), "")
    return _Answer(connection, early, upgraded, f"{name}: {fields[name]}\r\n".encode() if name else b"")


class EngineStream:
    """An answer that lasts, read by the event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: _Answer) -> None:
        self._reader = reader
        self._writer = writer
        self._answer = answer

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yields the body as it comes. Raises: RuntimeUnavailable when the connection breaks before its end."""
        body = _Body(self._answer)
        try:
            data = self._answer.early
            while True:
                for part in body.feed(data):
                    yield part
                if body.complete:
                    return
                data = await self._reader.read(READ_BYTES)
                if not data:
                    body.end()
                    return
        except (OSError, EOFError, httptools.HttpParserError) as error:
            raise RuntimeUnavailable(f"connection to the container runtime broke: {error}") from None

    async def write(self, data: bytes) -> None:
        """Writes to an upgraded connection; a process that is gone takes no input, which is not an error."""
        with contextlib.suppress(OSError):
            if not self._writer.transport.is_closing():  # uvloop would take a write for an error of the program's
                self._writer.write(data)
                await self._writer.drain()

    async def write_eof(self) -> None:
        with contextlib.suppress(OSError):
            if not self._writer.transport.is_closing():
                self._writer.write_eof()

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), CLOSE_SECONDS)


class _Body:
    """Takes the framing off: an upgraded connection has none, other answers are chunked or have a length."""

    def __init__(self, answer: _Answer) -> None:
        self._parts: list[bytes] = []
        self._ends_itself = bool(answer.framing)
        self.complete = False
        self._parser: Any = None
        if not answer.upgraded:
            self._parser = httptools.HttpResponseParser(self)
            self._parser.feed_data(b"HTTP/1.1 200 OK\r\n" + answer.framing + b"\r\n")

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)

    def on_message_complete(self) -> None:
        self.complete = True

    def feed(self, data: bytes) -> list[bytes]:
        """Returns the content of `data`. Raises: HttpParserError."""
        if self._parser is None:
            return [data] if data else []
        self._parser.feed_data(data)
        parts, self._parts = self._parts, []
        return parts

    def end(self) -> None:
        """Says that the connection is over. Raises: EOFError when the body is not."""
        if self._parser is not None and self._ends_itself and not self.complete:
            raise EOFError("the answer is cut short")


async def _read_documents(stream: EngineStream) -> AsyncIterator[Any]:
    rest = b""
    try:
        async for data in stream.chunks():
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                if line.strip():
                    yield _decoded(line)
            if len(rest) > MAX_DOCUMENT_BYTES:
                raise EngineError("a document of the container runtime's answer is too long")
        if rest.strip():
            yield _decoded(rest)
    finally:
        await stream.close()


def _decoded(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise EngineError(f"the container runtime's answer is not JSON: {error}") from None
