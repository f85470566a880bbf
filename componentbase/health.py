"""The HTTPS endpoints of every daemon: /healthz, /livez, /readyz for anyone, /metrics for a verified client.

A bare ASGI app on uvicorn's protocol class: daemons are many and small, a web framework in each would double them.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from componentbase import logs, metrics, tls

KEEP_ALIVE_SECONDS = 30
MAX_CONNECTIONS = 100  # further requests get a 503: probes and scrapes are few

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Check = Callable[[], str]
"""Returns "" when well, else why not. Called on every probe: cheap and without I/O."""

PROBES = ("/healthz", "/livez", "/readyz")

log = logs.logger(__name__)


class HealthApp:
    """The ASGI app alone, for daemons that put it on a server of their own."""

    def __init__(self, *, open_metrics: bool = False) -> None:
        self._checks: dict[str, dict[str, Check]] = {probe: {} for probe in PROBES}
        self._open_metrics = open_metrics

    def add_check(self, name: str, check: Check, probes: Iterable[str] = PROBES) -> None:
        """Adds a named check to these probes; `?verbose` shows its result."""
        for probe in probes:
            self._checks[probe][name] = check

    def add_ready_check(self, name: str, check: Check) -> None:
        """A check of readiness alone: its failure asks for patience, not for a restart."""
        self.add_check(name, check, ("/readyz",))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, content_type, body = self.respond(scope["path"], scope.get("query_string", b""), _peer_verified(scope))
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        headers += [(b"cache-control", b"no-cache"), (b"x-content-type-options", b"nosniff")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def respond(self, path: str, query: bytes, verified: bool) -> tuple[int, str, bytes]:
        """Status, content type and body of a request."""
        probe = "/" + path.strip("/").partition("/")[0]
        text = "text/plain; charset=utf-8"
        if probe in self._checks:
            status, message = self._probe(probe, path.strip("/").partition("/")[2], b"verbose" in query)
            return status, text, message.encode()
        if path == "/metrics":
            if not (verified or self._open_metrics):
                return 401, text, b"Unauthorized\n"
            return 200, metrics.CONTENT_TYPE, metrics.render()
        return 404, text, b"404 page not found\n"

    def _probe(self, probe: str, only: str, verbose: bool) -> tuple[int, str]:
        checks = {"ping": _well} | self._checks[probe]
        if only:
            if only not in checks:
                return 404, "404 page not found\n"
            checks = {only: checks[only]}
        results = {name: check() for name, check in checks.items()}
        failed = [f"{name}: {why}" for name, why in results.items() if why]
        if failed and not verbose:
            log.info("probe failed", probe=probe, failed="; ".join(failed))
        if not failed and not verbose:
            return 200, "ok"
        lines = [f"[-]{name} failed: {why}" if why else f"[+]{name} ok" for name, why in results.items()]
        lines.append(f"{probe[1:]} check {'failed' if failed else 'passed'}")
        return (500 if failed else 200), "\n".join(lines) + "\n"


def _well() -> str:
    return ""


def _peer_verified(scope: Scope) -> bool:
    return bool((scope.get("extensions") or {}).get("tls", {}).get("client_cert_verified"))


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which also tells the app whether the client showed a certificate that verified."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # With CERT_OPTIONAL a handshake fails on a bad certificate: one that is there has been verified.
        verified = bool(self.transport.get_extra_info("peercert"))
        extensions = self.scope.setdefault("extensions", {})
        assert extensions is not None
        extensions["tls"] = {"client_cert_verified": verified}


async def serve_app(app: Any, host: str, port: int, context: ssl.SSLContext | None) -> None:
    """Serves an ASGI app until cancelled, without uvicorn's ticking main loop, signal handlers and lifespan.

    Raises: OSError when the address is taken.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        http=_Protocol,
        interface="asgi3",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        limit_concurrency=MAX_CONNECTIONS,
    )
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Protocol(config=config, server_state=state, app_state={}), host, port, ssl=context, start_serving=True
    )
    try:
        await asyncio.Future()
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()


class HealthServer(HealthApp):
    """The app on HTTPS: `await server.run()` in the daemon's TaskGroup.

    Without a certificate it makes its own in `cert_dir` (or a temporary folder). Without `client_ca_file` nobody can be
    verified, and /metrics stays closed.
    """

    def __init__(
        self,
        name: str,
        bind_address: str,
        port: int,
        *,
        cert_file: str = "",
        key_file: str = "",
        cert_dir: str = "",
        client_ca_file: str = "",
    ) -> None:
        super().__init__()
        self._name = name
        self._address = (bind_address, port)
        self._files = (cert_file, key_file, client_ca_file)
        self._cert_dir = cert_dir

    async def run(self) -> None:
        """Serves until cancelled. Raises: OSError for an unreadable certificate or a taken address."""
        host, port = self._address
        context = self._context(host)
        log.info("serving", address=host, port=port)
        await serve_app(self, host, port, context)

    def _context(self, host: str) -> ssl.SSLContext:
        cert, key, client_ca = self._files
        if cert:
            return tls.server_context(cert, key, client_ca)
        with contextlib.ExitStack() as stack:
            folder = self._cert_dir or stack.enter_context(tempfile.TemporaryDirectory(prefix=self._name))
            cert, key = tls.self_signed(folder, self._name, (host,) if host not in ("0.0.0.0", "::") else ())
            return tls.server_context(cert, key, client_ca)
