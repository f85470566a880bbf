"""An API server inside this process: the application of `apiserver.app`, called without a socket, on a real etcd.

The server has an event loop of its own in a thread, so that tests of either kind can use it: with functions or with
coroutines, on whatever loop.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from fastapi import FastAPI

ADMIN = 'admin,admin-uid,"system:masters"'
WITHOUT_ACCOUNTS = "--disable-admission-plugins=ServiceAccount"
START_SECONDS = 30.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.02


class InProcessApi:
    """`http` is a client with the administrator's rights; `async_client()` gives the same for coroutines."""

    def __init__(self, app: FastAPI, loop: asyncio.AbstractEventLoop, token: str) -> None:
        self.app = app
        self.token = token
        self._loop = loop
        self.http = self.client(token)

    def client(self, token: str = "", **options: Any) -> httpx.Client:
        """An httpx client; without a token it is anonymous."""
        return httpx.Client(transport=_Transport(self.app, self._loop), **_client_options(token, options))

    def async_client(self, token: str = "", **options: Any) -> httpx.AsyncClient:
        """An httpx client for coroutines on any event loop; the administrator's, unless a token is given."""
        transport = _AsyncTransport(self.app, self._loop)
        return httpx.AsyncClient(transport=transport, **_client_options(token or self.token, options))


def _client_options(token: str, options: dict[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return {"base_url": "http://api", "headers": headers, "timeout": 30, **options}


@contextmanager
def in_process_api(folder: Path, etcd_url: str = "", *flags: str) -> Iterator[InProcessApi]:
    """Runs an API server until the block is left; on an etcd that is started in `folder` where no other is given.

    `flags` are those of kube-apiserver. Pods need no service account, as no controller makes one: the admission plugin
    ServiceAccount is off, unless `--enable-admission-plugins` names it.
    Raises: RuntimeError when either does not start.
    """
    with nullcontext(etcd_url) if etcd_url else _etcd(folder) as url:
        from apiserver.app import create_app
        from apiserver.options.options import parse_options

        token = secrets.token_urlsafe(16)
        tokens = folder / "tokens.csv"
        tokens.write_text(f"{token},{ADMIN}\n")
        own = [f"--etcd-servers={url}", "--bind-address=127.0.0.1", f"--cert-dir={folder}"]
        own += ["--authorization-mode=Node,RBAC", WITHOUT_ACCOUNTS]
        app = create_app(parse_options([*own, f"--token-auth-file={tokens}", *flags]))
        with _event_loop() as loop, _lifespan(app, loop):
            api = InProcessApi(app, loop, token)
            with api.http:
                _wait_ready(api)
                yield api


def _wait_ready(api: InProcessApi) -> None:
    deadline = time.monotonic() + START_SECONDS
    while (answer := api.http.get("/readyz?verbose")).status_code != 200:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the API server is not ready:\n{answer.text}")
        time.sleep(POLL_SECONDS)


@contextmanager
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="api-server", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(STOP_SECONDS)
        loop.close()


@contextmanager
def _lifespan(app: FastAPI, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Runs the application's lifespan in one task of the loop, as an ASGI server does."""
    started: Future[None] = Future()
    stop = asyncio.Event()

    async def run() -> None:
        try:
            async with app.router.lifespan_context(app):
                started.set_result(None)
                await stop.wait()
        except BaseException as error:
            if not started.done():
                started.set_exception(error)
            raise

    running = asyncio.run_coroutine_threadsafe(run(), loop)
    try:
        started.result(START_SECONDS)
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        running.result(STOP_SECONDS)


@contextmanager
def _etcd(folder: Path) -> Iterator[str]:
    """An etcd on loopback without TLS or durability, for this block alone."""
    from mini_cluster.machine.programs import find_program

    program = find_program("etcd")
    if program is None:
        raise RuntimeError("etcd is not installed: `apt-get install etcd-server`, or put the program on PATH")
    client, peer = f"http://127.0.0.1:{_free_port()}", f"http://127.0.0.1:{_free_port()}"
    command = [program, f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync", "--logger=zap"]
    command += [f"--listen-client-urls={client}", f"--advertise-client-urls={client}"]
    command += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"]
    command += [f"--initial-cluster=default={peer}"]
    with (folder / "etcd.log").open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield client
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# httpx.ASGITransport collects a whole answer before it gives it back, so a watch would show its events at its end.
# These give back an answer when its head is there, and its pieces as they come.


class _Call:
    """One request on the application's loop."""

    def __init__(self, app: FastAPI, request: httpx.Request, body: bytes) -> None:
        self._app = app
        self._request = request
        self._body: bytes | None = body
        self._messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(1)  # the application waits for its reader
        self._gone = asyncio.Event()
        self._ended = self._complete = False
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        url = self._request.url
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self._request.method,
            "headers": [(name.lower(), value) for name, value in self._request.headers.raw],
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.split(b"?")[0],
            "query_string": url.query,
            "server": (url.host, url.port),
            "client": ("127.0.0.1", 0),
            "root_path": "",
        }
        try:
            await self._app(scope, self._receive, self._send)
        finally:
            await self._messages.put(None)

    async def _receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if not self._gone.is_set():
            await self._messages.put(dict(message))

    async def head(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Status and headers. Raises: what the application raised, RemoteProtocolError where it has not answered."""
        message = await self._next()
        if message is None:
            await self._task
            raise httpx.RemoteProtocolError("the application ended without an answer")
        return message["status"], list(message["headers"])

    async def piece(self) -> bytes:
        """The next piece of the body; b"" at its end. Raises: RemoteProtocolError when the answer breaks off."""
        while (message := await self._next()) is not None:
            self._complete = not message.get("more_body", False)
            if message.get("body"):
                return bytes(message["body"])
        if not self._complete:
            raise httpx.RemoteProtocolError("the answer broke off")
        return b""

    async def _next(self) -> dict[str, Any] | None:
        message = None if self._ended else await self._messages.get()
        self._ended = message is None
        return message

    async def close(self) -> None:
        """Tells the application that nobody reads any more, and waits until it has noticed."""
        self._gone.set()
        while not self._ended:
            await self._next()
        await asyncio.wait([self._task])


async def _open(app: FastAPI, request: httpx.Request, body: bytes) -> tuple[_Call, int, list[tuple[bytes, bytes]]]:
    call = _Call(app, request, body)
    return call, *await call.head()


class _Transport(httpx.BaseTransport):
    """For code without an event loop."""

    def __init__(self, app: FastAPI, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._loop = loop

    def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        call, status, headers = self._wait(_open(self._app, request, request.read()))
        return httpx.Response(status, headers=headers, stream=_Stream(call, self._wait))


class _Stream(httpx.SyncByteStream):
    def __init__(self, call: _Call, wait: Any) -> None:
        self._call = call
        self._wait = wait

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._wait(self._call.piece()):
            yield piece

    def close(self) -> None:
        self._wait(self._call.close())


class _AsyncTransport(httpx.AsyncBaseTransport):
    """For coroutines on another event loop."""

    def __init__(self, app: FastAPI, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self._loop = loop

    async def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        call, status, headers = await self._wait(_open(self._app, request, await request.aread()))
        return httpx.Response(status, headers=headers, stream=_AsyncStream(call, self._wait))


class _AsyncStream(httpx.AsyncByteStream):
    def __init__(self, call: _Call, wait: Any) -> None:
        self._call = call
        self._wait = wait

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self._wait(self._call.piece()):
            yield piece

    async def aclose(self) -> None:
        await self._wait(self._call.close())
