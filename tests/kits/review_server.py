"""A server that answers reviews over TLS, as the webhooks of an API server's flags do, on loopback."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.kits.identity.certificates import write_certificates
from tests.kits.net.httpserver import Quiet, serve_in_thread

Dict = dict[str, Any]


class ReviewServer:
    """`asked` are the reviews in order. `answer` makes a status of a review's spec; a number is an HTTP error."""

    def __init__(self, answer: Callable[[Dict], Dict | int]) -> None:
        self.answer = answer
        self.asked: list[Dict] = []
        self.kubeconfig = Path()


@contextmanager
def review_server(folder: Path, answer: Callable[[Dict], Dict | int]) -> Iterator[ReviewServer]:
    """Serves until the block is left; takes only clients whose certificate `kubeconfig` has."""
    server = ReviewServer(answer)
    files = write_certificates(folder)

    class Handler(Quiet, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.asked.append({"path": self.path, **review})
            status = server.answer(review["spec"])
            code, body = (status, b"") if isinstance(status, int) else (200, _answered(review, status))
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files["ca"])
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(files["server"], files["server-key"])
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.socket = context.wrap_socket(http.socket, server_side=True)
    server.kubeconfig = _write_kubeconfig(folder, http.server_port, files)
    with serve_in_thread(http):
        yield server


def _answered(review: Dict, status: Dict) -> bytes:
    return json.dumps({**review, "status": status}).encode()


def _write_kubeconfig(folder: Path, port: int, files: dict[str, Path]) -> Path:
    cluster = {"server": f"https://127.0.0.1:{port}/ask/here", "certificate-authority": str(files["ca"])}
    user = {"client-certificate": str(files["client"]), "client-key": str(files["client-key"])}
    path = folder / "webhook.kubeconfig"
    path.write_text(
        json.dumps(
            {
                "kind": "Config",
                "apiVersion": "v1",
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return path
