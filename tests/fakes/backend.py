"""An HTTPS server with a client authority, for tests of what the API server passes on: tells what it was sent."""

from __future__ import annotations

import json
import queue
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Tells back what it is asked for. Streams what the test puts into `pieces` for `/pieces` and a container's log,
    breaks `/broken` off, redirects from `/to/…`, and has a `/page` with a link.
    """

    protocol_version = "HTTP/1.1"
    server: Backend

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/pieces" or path.startswith("/containerLogs/"):
            self._stream()
        elif path == "/broken":
            self._head(200, {"content-length": "1000"})
            self.wfile.write(b"only this")
            self.close_connection = True
        elif path == "/page":
            page = b'<a href="/next">on</a>'
            length = {"content-length": str(len(page)), "access-control-allow-origin": "*"}
            self._head(200, {"content-type": "text/html", **length})
            self.wfile.write(page if self.command != "HEAD" else b"")
        elif path.startswith("/to/"):
            self._head(302, {"location": path.removeprefix("/to"), "content-length": "0"})
        elif path == "/nothing":
            self._head(204, {})
        else:
            told = {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": self._body()}
            data = json.dumps(told).encode()
            self._head(299, {"content-length": str(len(data)), "connection": "x-hop", "x-hop": "1", "x-kept": "2"})
            if self.command != "HEAD":
                self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _answer

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self) -> None:
        self._head(200, {"transfer-encoding": "chunked"})
        while (piece := self.server.pieces.get()) is not None:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def _body(self) -> int:
        """How many bytes it was."""
        if self.headers.get("transfer-encoding") != "chunked":
            return len(self.rfile.read(int(self.headers.get("content-length") or 0)))
        size = 0
        while length := int(self.rfile.readline(), 16):
            size += len(self.rfile.read(length))
            self.rfile.readline()
        self.rfile.readline()
        return size

    def log_message(self, format: str, *args: object) -> None:
        pass


class Backend(ThreadingHTTPServer):
    """`with Backend(cert, key, ca) as backend`; `backend.port`."""

    daemon_threads = True

    def __init__(self, cert: Path, key: Path, client_ca: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.pieces: queue.Queue[bytes | None] = queue.Queue()
        self.port: int = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()
