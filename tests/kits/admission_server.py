"""An admission webhook over TLS, on loopback: what it answers is the test's own."""

from __future__ import annotations

import base64
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
Answer = Dict | bytes | int | None
"""A response without its uid; a whole body as it is; an HTTP error; None hangs up."""

ALLOW: Dict = {"allowed": True}


def patch(*operations: Dict) -> Dict:
    """A response that changes the object."""
    return {
        "allowed": True,
        "patchType": "JSONPatch",
        "patch": base64.b64encode(json.dumps(operations).encode()).decode(),
    }


class AdmissionServer:
    """`asked` are the requests in order, each with its `path`."""

    def __init__(self, port: int, authority: bytes) -> None:
        self.asked: list[Dict] = []
        self.answers: dict[str, Callable[[Dict], Answer]] = {}
        """By path; what is missing is allowed."""
        self._port, self._authority = port, authority

    def client_config(self, path: str) -> Dict:
        return {"url": f"https://127.0.0.1:{self._port}{path}", "caBundle": base64.b64encode(self._authority).decode()}

    def webhook(self, path: str, name: str = "", **spec: Any) -> Dict:
        """An entry of a configuration: about ConfigMaps being created, unless `spec` says otherwise."""
        rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
        return {
            "name": name or f"{path.strip('/')}.test.example",
            "clientConfig": self.client_config(path),
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            **spec,
        }


@contextmanager
def admission_server(folder: Path) -> Iterator[AdmissionServer]:
    files = write_certificates(folder)

    class Handler(Quiet, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            path = self.path.partition("?")[0]
            request = {"path": path, **review["request"]}
            server.asked.append(request)
            answer = server.answers.get(path, lambda request: ALLOW)(request)
            if answer is None:
                self.close_connection = True
                return
            code, body = 200, b""
            if isinstance(answer, int):
                code = answer
            elif isinstance(answer, bytes):
                body = answer
            else:
                body = json.dumps({**review, "response": {"uid": request["uid"], **answer}}).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files["server"], files["server-key"])
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = AdmissionServer(http.server_port, files["ca"].read_bytes())
    http.socket = context.wrap_socket(http.socket, server_side=True)
    with serve_in_thread(http):
        yield server
