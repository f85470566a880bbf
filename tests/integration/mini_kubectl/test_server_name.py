"""`tls-server-name` of a kubeconfig: whatever the address, the certificate must have this name, on every request."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from tests.kits.client.commandline import MINI_KUBECTL
from tests.kits.identity.certificates import write_certificates

NAME = "api.internal"
POD_TYPE = {
    "resource": "pods", "scope": "Namespaced", "singularResource": "pod", "verbs": ["get", "list", "watch"],
    "responseKind": {"group": "", "version": "v1", "kind": "Pod"},
}  # fmt: skip
POD = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "default", "resourceVersion": "1"},
    "spec": {"containers": [{"name": "app"}]}, "status": {"phase": "Running"},
}  # fmt: skip
ANSWERS = {
    "/api": {
        "kind": "APIGroupDiscoveryList",
        "items": [{"metadata": {}, "versions": [{"version": "v1", "resources": [POD_TYPE]}]}],
    },
    "/api/v1/namespaces/default/pods/web": POD,
    "/api/v1/namespaces/default/pods": {"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "over"}},
    "/api/v1/namespaces/default/pods/web/log": "a line",
}


@dataclass
class TlsServer:
    """An API server whose certificate has NAME alone; `requested_names` are those that clients asked for."""

    url: str
    ca: Path
    requested_names: list[str | None] = field(default_factory=list)

    def run(self, folder: Path, server_name: str, *words: str) -> subprocess.CompletedProcess[str]:
        cluster = {"server": self.url, "certificate-authority": str(self.ca), "tls-server-name": server_name}
        config = {
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "contexts": [{"name": "test", "context": {"cluster": "test"}}],
        }
        file = folder / "kubeconfig"
        file.write_text(json.dumps(config))
        environment = {**os.environ, "KUBECONFIG": str(file)}
        command = [MINI_KUBECTL, *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def _answer(connection: ServerConnection, request: Request) -> Response | None:
    path = urlsplit(request.path).path
    if path.endswith("/exec"):
        return None
    body = json.dumps(ANSWERS[path]).encode() + b"\n"
    headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"})
    return Response(HTTPStatus.OK, "OK", headers, body)


def _say_hello(connection: ServerConnection) -> None:
    connection.send(b"\x01hello")
    connection.send(b"\x03" + json.dumps({"status": "Success"}).encode())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    files = write_certificates(tmp_path_factory.mktemp("tls"), server_name=NAME)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["server"], files["server-key"])
    protocols = [Subprotocol("v5.channel.k8s.io")]
    listening = serve(_say_hello, "127.0.0.1", 0, process_request=_answer, subprotocols=protocols, ssl=context)
    with listening as running:
        fake = TlsServer(f"https://127.0.0.1:{running.socket.getsockname()[1]}", files["ca"])
        context.sni_callback = lambda connection, name, context: fake.requested_names.append(name)
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield fake


@pytest.mark.parametrize(
    ("line", "output"),
    [
        ("get pod web -o name", "pod/web\n"),
        ("get pods --watch-only -o name", ""),
        ("logs web", '"a line"\n'),
        ("exec web -- hello", "hello"),
    ],
)
def test_the_certificate_must_have_the_name_of_the_kubeconfig(
    server: TlsServer, tmp_path: Path, line: str, output: str
) -> None:
    server.requested_names.clear()
    done = server.run(tmp_path, NAME, *line.split())
    assert "certificate" not in done.stderr
    assert done.stdout == output
    assert set(server.requested_names) == {NAME}


@pytest.mark.parametrize("server_name", ["", "other.internal"])
def test_a_certificate_of_another_name_is_refused(server: TlsServer, tmp_path: Path, server_name: str) -> None:
    done = server.run(tmp_path, server_name, "get", "pod", "web")
    assert done.returncode == 1
    assert "certificate verify failed" in done.stderr
