"""An API server that says what a test tells it to: for answers that the real one does not give."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.kits.net.httpserver import Quiet, serve_in_thread

Dict = dict[str, Any]
Answer = Dict | Callable[[Dict], Dict]


def resource(name: str, kind: str, *verbs: str, namespaced: bool = True, short: str = "") -> Dict:
    """An entry of an APIResourceList."""
    entry = {"name": name, "singularName": kind.lower(), "kind": kind, "namespaced": namespaced, "verbs": list(verbs)}
    return entry | ({"shortNames": [short]} if short else {})


def discovery(**groups: list[Dict]) -> dict[str, Answer]:
    """The answers of discovery: `discovery(v1=[…], metrics_k8s_io__v1beta1=[…])`."""
    answers: dict[str, Answer] = {"/api": {"kind": "APIVersions", "versions": ["v1"]}}
    listed = []
    for name, resources in groups.items():
        path = name.replace("__", "/").replace("_", ".")
        listing = {"kind": "APIResourceList", "groupVersion": path, "resources": resources}
        if "/" not in path:
            answers[f"/api/{path}"] = listing
            continue
        answers[f"/apis/{path}"] = listing
        group, _, version = path.partition("/")
        served = {"groupVersion": path, "version": version}
        listed.append({"name": group, "versions": [served], "preferredVersion": served})
    return answers | {"/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}}


class ScriptedApi:
    """`posted` are the bodies that came, by path."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.posted: list[tuple[str, Dict]] = []
        self.url = ""

    def answer(self, path: str, body: Dict | None) -> tuple[int, Dict]:
        answer = self.answers.get(path)
        if body is not None:
            self.posted.append((path, body))
        if answer is None:
            message = "the server could not find the requested resource"
            return 404, {"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": message}
        return (201 if body is not None else 200), answer(body or {}) if callable(answer) else answer


@contextmanager
def serving(answers: dict[str, Answer]) -> Iterator[ScriptedApi]:
    fake = ScriptedApi()
    fake.answers = answers

    class Handler(Quiet, BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(None)

        def do_POST(self) -> None:
            self._send(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _send(self, body: Dict | None) -> None:
            code, answer = fake.answer(urlsplit(self.path).path, body)
            data = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_port}"
    with serve_in_thread(server):
        yield fake
