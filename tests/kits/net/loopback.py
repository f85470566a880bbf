"""A small HTTPS server on loopback, whose answers a test gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from componentbase.tls import server_context
from tests.kits.net.httpserver import Quiet, serve_in_thread


@contextmanager
def https_server(files: dict[str, Path], answer: Callable[[str, Any], Any]) -> Iterator[int]:
    """Yields the port. `answer` gets the path and the JSON of a POST, None for a GET; None from it is a 404."""

    class Handler(Quiet, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def _answer(self, question: Any) -> None:
            document = answer(self.path, question)
            body = json.dumps(document).encode()
            self.send_response(404 if document is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tls = server_context(str(files["server"]), str(files["server-key"]))
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    with serve_in_thread(server):
        yield server.server_port
