"""Proxies and upgraded connections through the API server, to a stand-in for what runs on nodes."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedOK, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.fakes.backend import Backend
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.identity.certificates import write_certificates
from tests.kits.process import TOKEN

Files = dict[str, Path]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return write_certificates(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Iterator[ApiServer]:
    folder = tmp_path_factory.mktemp("api")
    flags = [f"--kubelet-certificate-authority={files['ca']}", f"--kubelet-client-certificate={files['client']}"]
    flags.append(f"--kubelet-client-key={files['client-key']}")
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url, *flags) as server:
        yield server


@pytest.fixture(scope="module")
def backend(api: ApiServer, files: Files) -> Iterator[Backend]:
    """The kubelet of node "n"."""
    with Backend(files["server"], files["server-key"], files["ca"]) as server:
        register(api, "n", server.port)
        yield server


def register(api: ApiServer, name: str, port: int, address: str = "127.0.0.1") -> None:
    assert api.http.post("/api/v1/nodes", json={"metadata": {"name": name}}).status_code == 201
    status = {"addresses": [{"type": "InternalIP", "address": address}]}
    body = {"status": {**status, "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}}
    headers = {"content-type": "application/merge-patch+json"}
    assert api.http.patch(f"/api/v1/nodes/{name}/status", json=body, headers=headers).status_code == 200


def test_an_address_that_a_node_has_just_told_is_known(api: ApiServer, backend: Backend) -> None:
    for number in range(20):
        register(api, f"new-{number}", backend.port)
        assert api.http.get(f"/api/v1/nodes/new-{number}/proxy/x").status_code == 299


PROXY = "/api/v1/nodes/n/proxy"
SECONDS = 60.0  # for a message, on a busy machine


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_goes_through_with_path_query_and_body(api: ApiServer, backend: Backend, method: str) -> None:
    answer = api.http.request(method, f"{PROXY}/a%2Fb//c%20d/?x=1&y=%26", content=b"z" * 100_000)
    told = answer.json()
    assert (answer.status_code, told["method"], told["body"]) == (299, method, 100_000)
    assert told["path"] == "/a%2Fb//c%20d/?x=1&y=%26"


def test_a_head_has_no_body(api: ApiServer, backend: Backend) -> None:
    answer = api.http.head(f"{PROXY}/x")
    assert (answer.status_code, answer.content) == (299, b"")
    assert int(answer.headers["content-length"]) > 0
    assert api.http.get(f"{PROXY}/nothing").status_code == 204


def test_headers_of_a_hop_and_who_the_client_is_stay_here(api: ApiServer, backend: Backend) -> None:
    mine = {"x-mine": "1", "te": "trailers", "connection": "x-secret", "x-secret": "1"}
    answer = api.http.get(f"{PROXY}/x", headers={**mine, "x-forwarded-for": "192.0.2.1"})
    got = {name.lower(): value for name, value in answer.json()["headers"].items()}
    assert got["x-mine"] == "1"
    assert not {"te", "x-secret", "authorization"} & got.keys()
    assert got["x-forwarded-for"] == "192.0.2.1, 127.0.0.1"
    assert got["x-forwarded-uri"] == f"{PROXY}/x"
    assert (answer.headers["x-kept"], "x-hop" in answer.headers) == ("2", False)


def test_bodies_are_not_held_back(api: ApiServer, backend: Backend) -> None:
    def body() -> Iterator[bytes]:
        for _ in range(300):
            yield b"y" * 65536  # more than any object may have

    assert api.http.post(f"{PROXY}/x", content=body()).json()["body"] == 300 * 65536
    with api.http.stream("GET", f"{PROXY}/pieces") as answer:
        pieces = answer.iter_raw()
        for piece in (b"one", b"two"):
            backend.pieces.put(piece)
            assert next(pieces) == piece
        backend.pieces.put(None)
        assert list(pieces) == []


def test_an_answer_that_breaks_off_does_so_for_the_client_too(api: ApiServer, backend: Backend) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        api.http.get(f"{PROXY}/broken")


def test_a_page_is_asked_for_below_a_slash(api: ApiServer, backend: Backend) -> None:
    answer = api.http.get(f"{PROXY}?a=b")
    assert (answer.status_code, answer.headers["location"]) == (301, f"{PROXY}/?a=b")
    assert api.http.get(f"{PROXY}/?a=b").json()["path"] == "/?a=b"
    assert api.http.post(PROXY).json()["path"] == "/"


def test_a_redirect_stays_below_the_proxy(api: ApiServer, backend: Backend) -> None:
    assert api.http.get(f"{PROXY}/to/other/?q=1").headers["location"] == f"{PROXY}/other/"


def test_a_link_of_a_page_stays_below_the_proxy(api: ApiServer, backend: Backend) -> None:
    answer = api.http.get(f"{PROXY}/page")
    assert answer.text == f'<a href="{PROXY}/next">on</a>'
    assert "access-control-allow-origin" not in answer.headers  # else other sites could read it
    head = api.http.head(f"{PROXY}/page")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/api/v1/nodes/none/proxy/", 404, 'nodes "none" not found'),
        ("/api/v1/nodes/ftp:n:1/proxy/", 400, 'invalid node request "ftp:n:1"'),
        ("/api/v1/nodes/n:80/proxy/", 400, "address not allowed"),
        ("/api/v1/namespaces/default/pods/none/proxy/", 404, 'pods "none" not found'),
        ("/api/v1/namespaces/default/pods/a:b:c:d/proxy/", 400, 'invalid pod request "a:b:c:d"'),
        ("/api/v1/namespaces/default/services/none/proxy/", 404, 'services "none" not found'),
        (
            "/api/v1/namespaces/default/services/kubernetes:81/proxy/",
            503,
            'no service port 81 found for service "kubernetes"',
        ),
        (
            "/api/v1/namespaces/default/services/https:kubernetes:/proxy/",
            503,
            'no endpoints available for service "kubernetes"',
        ),
        ("/api/v1/namespaces/default/configmaps/x/proxy/y", 404, "the server could not find the requested resource"),
    ],
)
def test_what_can_not_be_reached_is_a_status(
    api: ApiServer, backend: Backend, path: str, status: int, message: str
) -> None:
    answer = api.http.get(path)
    assert (answer.status_code, answer.json()["message"]) == (status, message)


def test_nothing_at_the_other_end_is_a_503(api: ApiServer) -> None:
    register(api, "gone", 1)
    answer = api.http.get("/api/v1/nodes/gone/proxy/healthz")
    assert (answer.status_code, answer.json()["reason"]) == (503, "ServiceUnavailable")
    assert answer.json()["message"].startswith("error trying to reach service: 127.0.0.1:1: ")


def test_endpoints_that_are_no_pods_are_left_alone(api: ApiServer, backend: Backend) -> None:
    """Whoever may write Endpoints could else have the API server ask anything for him."""
    root = "/api/v1/namespaces/default"
    spec = {"ports": [{"port": 80}]}
    assert api.http.post(f"{root}/services", json={"metadata": {"name": "s"}, "spec": spec}).status_code == 201
    subsets: list[dict[str, Any]] = [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": backend.port}]}]
    body = {"metadata": {"name": "s"}, "subsets": subsets}
    assert api.http.post(f"{root}/endpoints", json=body).status_code == 201
    answer = api.http.get(f"{root}/services/s/proxy/")
    assert (answer.status_code, answer.json()["message"]) == (503, 'no endpoints available for service "s"')


@pytest.fixture(scope="module")
def log_path(api: ApiServer, backend: Backend) -> str:
    """The log of a pod on node "n"."""
    pods = "/api/v1/namespaces/default/pods"
    spec = {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}
    assert api.http.post(pods, json={"metadata": {"name": "chatty"}, "spec": spec}).status_code == 201
    return f"{pods}/chatty/log"


def open_websocket(api: ApiServer, path: str, *protocols: str, token: str = TOKEN) -> ClientConnection:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    url, names = api.url.replace("https", "wss") + path, [Subprotocol(name) for name in protocols]
    context = ssl._create_unverified_context()
    # In TLS 1.3 session tickets come after the handshake. The client takes one for data and reads on, so that a refusal
    # waits until the server closes the idle connection.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return connect(url, ssl=context, subprotocols=names or None, additional_headers=headers, open_timeout=SECONDS)


@pytest.mark.parametrize(
    ("protocols", "messages"),
    [
        ((), [b"", b"one\n", b"two\n"]),
        (("v9.k8s.io", "binary.k8s.io"), [b"", b"one\n", b"two\n"]),
        (("base64.binary.k8s.io",), ["", "b25lCg==", "dHdvCg=="]),
    ],
)
def test_a_log_over_a_websocket(
    api: ApiServer, backend: Backend, log_path: str, protocols: tuple[str, ...], messages: list[bytes | str]
) -> None:
    with open_websocket(api, f"{log_path}?follow=true", *protocols) as socket:
        assert socket.subprotocol == (protocols[-1] if protocols else None)
        assert socket.recv(SECONDS) == messages[0]
        for piece, message in zip((b"one\n", b"two\n"), messages[1:], strict=True):
            backend.pieces.put(piece)
            assert socket.recv(SECONDS) == message
        backend.pieces.put(None)
        with pytest.raises(ConnectionClosedOK):
            socket.recv(SECONDS)


@pytest.mark.parametrize("protocols", [(), ("base64.binary.k8s.io",)])
def test_a_watch_over_a_websocket_has_an_event_a_message(api: ApiServer, protocols: tuple[str, ...]) -> None:
    root = api.make_namespace(f"watched-{len(protocols)}")
    with open_websocket(api, f"{root}/configmaps?watch=true", *protocols) as socket:
        assert socket.subprotocol == (protocols[0] if protocols else None)
        for name in ("a", "b"):
            assert api.http.post(f"{root}/configmaps", json={"metadata": {"name": name}}).status_code == 201
        for name in ("a", "b"):
            message = socket.recv(SECONDS)
            assert isinstance(message, str)
            event = json.loads(message)
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", name)
    with open_websocket(api, f"{root}/configmaps?watch=true&timeoutSeconds=1") as socket:
        with pytest.raises(ConnectionClosedOK):
            list(iter(lambda: socket.recv(SECONDS), None))
    with pytest.raises(InvalidStatus) as refused:
        open_websocket(api, f"{root}/configmaps?watch=true", "a", "b")
    assert refused.value.response.status_code == 400


def test_a_browser_gives_its_token_as_a_protocol(api: ApiServer, backend: Backend, log_path: str) -> None:
    def bearer(token: str) -> str:
        text = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
        return f"base64url.bearer.authorization.k8s.io.{text}"

    backend.pieces.put(None)
    with open_websocket(api, log_path, bearer(TOKEN), "binary.k8s.io", token="") as socket:
        assert (socket.subprotocol, socket.recv(SECONDS)) == ("binary.k8s.io", b"")
    with pytest.raises(InvalidStatus) as refused:
        open_websocket(api, log_path, bearer("nobody's"), "binary.k8s.io", token="")
    assert refused.value.response.status_code == 401


def test_a_log_over_a_websocket_is_refused_in_http(api: ApiServer, backend: Backend, log_path: str) -> None:
    for path, protocol, status in ((log_path, "v4.channel.k8s.io", 403), (f"{log_path}?container=no", "", 400)):
        backend.pieces.put(None)
        with pytest.raises(InvalidStatus) as refused:
            open_websocket(api, path, *([protocol] if protocol else []))
        assert refused.value.response.status_code == status


def test_a_pod_that_does_not_run_yet_is_no_target(api: ApiServer) -> None:
    spec = {"containers": [{"name": "c", "image": "i"}]}
    root = "/api/v1/namespaces/default/pods"
    assert api.http.post(root, json={"metadata": {"name": "p"}, "spec": spec}).status_code == 201
    assert api.http.get(f"{root}/p/proxy/").json()["message"] == "address not allowed"  # it has none yet
    upgrade = {"connection": "Upgrade", "upgrade": "SPDY/3.1"}
    assert "does not have a host assigned" in api.http.post(f"{root}/p/portforward", headers=upgrade).text
    answer = api.http.post(f"{root}/p/portforward?ports=99999", headers=upgrade)
    assert (answer.status_code, answer.json()["reason"]) == (400, "BadRequest")
