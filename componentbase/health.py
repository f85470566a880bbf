"""Serves the HTTPS endpoints of every daemon: /healthz, /livez, /readyz for anyone, /metrics for a verified client.

Source: Kubernetes documentation, "Kubernetes API health endpoints".
"""

from __future__ import annotations

import contextlib
import ssl
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping
from urllib.parse import parse_qs

from componentbase import logs, metrics, tls
from componentbase.flags import Serving
from componentbase.net.http1_exchange import HttpExchange
from componentbase.net.http1_server import HttpServer, ServerLimits

LIMITS = ServerLimits(max_connections=100)  # probes and scrapes are few
HEADERS = b"content-type: %b\r\ncache-control: no-cache\r\nx-content-type-options: nosniff\r\n"
TEXT = "text/plain; charset=utf-8"

Check = Callable[[], str]
"""Returns "" when well, else the problem. Called on every probe: cheap and without I/O."""

PROBES = ("/healthz", "/livez", "/readyz")

log = logs.logger(__name__)


def run_checks(
    probe: str, checks: Mapping[str, Check], excluded: Collection[str] = (), *, verbose: bool
) -> tuple[int, str]:
    """Runs the checks of a probe ("readyz"), and returns the HTTP status and text of the answer.

    The text is "ok", or a line for each check when `verbose` or when one has failed.
    """
    lines, failed = [], []
    for name, check in checks.items():
        why = "" if name in excluded else check()
        if why:
            failed.append(f"{name}: {why}")
            lines.append(f"[-]{name} failed: {why}")
        else:
            lines.append(f"[+]{name} excluded: ok" if name in excluded else f"[+]{name} ok")
    if failed and not verbose:
        log.info("probe failed", probe=probe, failed="; ".join(failed))
    if not failed and not verbose:
        return 200, "ok"
    if unknown := [name for name in excluded if name not in checks]:
        names = ", ".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {names}")
    lines.append(f"{probe} check {'failed' if failed else 'passed'}")
    return (500 if failed else 200), "\n".join(lines) + "\n"


class HealthHandler:
    """Answers probes and scrapes, on a server of its own or beside a daemon's other paths."""

    def __init__(self, *, open_metrics: bool = False) -> None:
        self._checks: dict[str, dict[str, Check]] = {probe: {} for probe in PROBES}
        self._open_metrics = open_metrics

    def add_check(self, name: str, check: Check, probes: Iterable[str] = PROBES) -> None:
        """Adds a named check to these probes; `?verbose` shows its result."""
        for probe in probes:
            self._checks[probe][name] = check

    def add_ready_check(self, name: str, check: Check) -> None:
        """Adds a check of readiness alone: its failure asks for patience, not for a restart."""
        self.add_check(name, check, ("/readyz",))

    def __call__(self, exchange: HttpExchange) -> None:
        verified = exchange.connection.certificate is not None
        status, content_type, body = self.respond(exchange.path, exchange.query_string, verified)
        exchange.respond(status, HEADERS % content_type.encode(), body)

    def respond(self, path: str, query: bytes, verified: bool) -> tuple[int, str, bytes]:
        """Returns status, content type and body of the answer to a request."""
        probe, _, name = path.strip("/").partition("/")
        if f"/{probe}" in self._checks:
            checks = {"ping": lambda: ""} | self._checks[f"/{probe}"]
            if name and name not in checks:
                return 404, TEXT, b"404 page not found\n"
            parameters = parse_qs(query.decode("latin-1"), keep_blank_values=True)
            excluded, verbose = parameters.get("exclude", ()), "verbose" in parameters
            status, message = run_checks(
                probe, {name: checks[name]} if name else checks, () if name else excluded, verbose=verbose
            )
            return status, TEXT, message.encode()
        if path == "/metrics":
            if not (verified or self._open_metrics):
                return 401, TEXT, b"Unauthorized\n"
            return 200, metrics.CONTENT_TYPE, metrics.render()
        return 404, TEXT, b"404 page not found\n"

    async def serve(self, host: str, port: int, context: ssl.SSLContext | None = None) -> None:
        """Serves until cancelled. Raises: OSError when the address is taken."""
        await HttpServer(self, LIMITS).run(host, port, context)


class HealthServer(HealthHandler):
    """The handler on HTTPS: `await server.run()` in the daemon's TaskGroup.

    Without a certificate it makes its own. Without a client CA nobody can be verified, and /metrics stays closed.
    """

    def __init__(self, name: str, serving: Serving) -> None:
        super().__init__()
        self._name = name
        self._serving = serving

    async def run(self) -> None:
        """Serves until cancelled. Raises: OSError for an unreadable certificate or a taken address."""
        serving = self._serving
        context = self._context()
        log.info("serving", address=serving.bind_address, port=serving.port)
        await self.serve(serving.bind_address, serving.port, context)

    def _context(self) -> ssl.SSLContext:
        serving = self._serving
        if serving.cert_file:
            return tls.server_context(serving.cert_file, serving.key_file, serving.client_ca_file)
        host = serving.bind_address
        with contextlib.ExitStack() as stack:
            folder = serving.cert_dir or stack.enter_context(tempfile.TemporaryDirectory(prefix=self._name))
            cert, key = tls.self_signed(folder, self._name, (host,) if host not in ("0.0.0.0", "::") else ())
            return tls.server_context(cert, key, serving.client_ca_file)
