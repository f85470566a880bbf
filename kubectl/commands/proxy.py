"""`proxy`: the API server on a port of this machine, without certificates or tokens for who connects to it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from kubectl.api.client import authorization, tls_context
from kubectl.cli.command import Command, Context, UsageError

DEFAULT_HOSTS = "^localhost$,^127\\.0\\.0\\.1$,^\\[::1\\]$"
DEFAULT_REFUSED = "^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach"
CHUNK_BYTES = 32 * 1024
_HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
    "upgrade", "host", "authorization", "content-length",
}  # fmt: skip


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-p", "--port", type=int, default=8001, help="0 for one that is free; default 8001")
    parser.add_argument("--address", default="127.0.0.1", help="listen here; default 127.0.0.1")
    parser.add_argument("--api-prefix", default="/", metavar="PATH", help="the API is below this path; default /")
    parser.add_argument(
        "--accept-hosts", default=DEFAULT_HOSTS, metavar="PATTERNS", help="names a client may use for us"
    )
    parser.add_argument("--accept-paths", default="^.*", metavar="PATTERNS", help="paths that are passed on")
    parser.add_argument("--reject-paths", default=DEFAULT_REFUSED, metavar="PATTERNS", help="paths that are not")
    parser.add_argument(
        "--reject-methods", default="^$", metavar="PATTERNS", help="methods that are not, e.g. POST,PUT"
    )


def run(context: Context, args: argparse.Namespace) -> None:
    config = context.config
    prefix = "/" + args.api_prefix.strip("/")
    with httpx.Client(
        base_url=config.server,
        verify=tls_context(config) if config.secure else False,
        headers=authorization(config),
        timeout=httpx.Timeout(None, connect=10),
    ) as client:
        handler = type("Handler", (_Handler,), {"client": client, "prefix": prefix, "gate": Gate(args)})
        try:
            server = ThreadingHTTPServer((args.address, args.port), handler)
        except OSError as error:
            raise UsageError(f"listen tcp {args.address}:{args.port}: {(error.strerror or '').lower()}") from error
        server.daemon_threads = True
        context.print(f"Starting to serve on {args.address}:{server.server_port}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
        finally:
            server.server_close()


class Gate:
    """What is let through: a page in a browser must not reach the API by a name that leads here."""

    def __init__(self, args: argparse.Namespace) -> None:
        """Raises: UsageError for a pattern that is none."""
        self._hosts = _patterns(args.accept_hosts)
        self._paths, self._refused = _patterns(args.accept_paths), _patterns(args.reject_paths)
        self._methods = _patterns(args.reject_methods)

    def admits(self, method: str, path: str, host: str) -> bool:
        name = re.sub(r":\d+$", "", host)
        return (
            _any(self._hosts, name)
            and _any(self._paths, path)
            and not _any(self._refused, path)
            and not _any(self._methods, method)
        )


def _patterns(text: str) -> list[re.Pattern[str]]:
    try:
        return [re.compile(part) for part in text.split(",") if part]
    except re.error as error:
        raise UsageError(f"{text}: {error}") from error


def _any(patterns: list[re.Pattern[str]], text: str) -> bool:
    return any(pattern.search(text) for pattern in patterns)


class _Handler(BaseHTTPRequestHandler):
    client: httpx.Client
    prefix: str
    gate: Gate
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        path = self.path.partition("?")[0]
        if not self.gate.admits(self.command, path, self.headers.get("Host", "")):
            self._refuse(403, "Forbidden")
            return
        root = self.prefix.rstrip("/")
        if root and not (path == root or path.startswith(root + "/")):
            self._refuse(404, "404 page not found")
            return
        below = self.path.removeprefix(root)
        headers = [(name, value) for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP]
        try:
            with self.client.stream(self.command, below or "/", headers=headers, content=self._body()) as answer:
                self._answer(answer)
        except httpx.TransportError as error:
            self._refuse(502, str(error))

    def _body(self) -> bytes | None:
        length = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(length) if length else None

    def _answer(self, answer: httpx.Response) -> None:
        """Piece by piece, so that watches and logs are seen as they come."""
        self.send_response(answer.status_code)
        for name, value in answer.headers.multi_items():
            if name not in _HOP_BY_HOP:
                self.send_header(name, value)
        if "content-length" in answer.headers:
            self.send_header("Content-Length", answer.headers["content-length"])
            pieces: Iterator[bytes] = answer.iter_raw(CHUNK_BYTES)
        else:
            self.send_header("Transfer-Encoding", "chunked")
            pieces = _chunked(answer.iter_raw())
        self.end_headers()
        if self.command != "HEAD":
            for piece in pieces:
                self.wfile.write(piece)
                self.wfile.flush()

    def _refuse(self, code: int, text: str) -> None:
        body = (text + "\n").encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """A line for each request would be noise."""

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _pass_on


def _chunked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if piece:
            yield b"%x\r\n%b\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


COMMAND = Command(
    "proxy",
    "Serve the API on a port of this machine",
    configure,
    run,
    examples="""\
  # Then: curl http://127.0.0.1:8001/api/v1/namespaces/default/pods
  mini-kubectl proxy
  # On a port that is free, only to read, below /k8s/
  mini-kubectl proxy --port=0 --reject-methods=POST,PUT,PATCH,DELETE --api-prefix=/k8s/""",
)
