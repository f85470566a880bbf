"""HTTP itself: pipelining, HEAD, 100-continue, chunked bodies, connections that end."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.eventually import eventually
from tests.kits.process import TOKEN

AUTH = f"Host: x\r\nAuthorization: Bearer {TOKEN}\r\n"


class Connection:
    """A TLS connection on which a test writes and reads bytes."""

    def __init__(self, tls: ssl.SSLSocket) -> None:
        self._tls = tls
        self._rest = b""

    def send(self, text: str) -> None:
        self._tls.sendall(text.encode())

    def _fill(self) -> bool:
        data = self._tls.recv(65536)
        self._rest += data
        return bool(data)

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the next answer."""
        while b"\r\n\r\n" not in self._rest:
            assert self._fill(), "the server closed the connection"
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        line, *headers = head.decode().split("\r\n")
        pairs = (header.partition(": ") for header in headers)
        return int(line.split()[1]), {name: value for name, _, value in pairs}

    def answer(self) -> tuple[int, dict[str, str], Any]:
        """The next whole answer, its body as JSON."""
        status, headers = self.head()
        return status, headers, self.body(headers)

    def body(self, headers: dict[str, str]) -> Any:
        """The body after a head with these headers."""
        length = int(headers["content-length"])
        pieces = [self._rest]
        while (missing := length - sum(map(len, pieces))) > 0:
            pieces.append(self._tls.recv(min(missing, 65536)))
            assert pieces[-1], "the server closed the connection"
        body = b"".join(pieces)
        self._rest = body[length:]
        return json.loads(body[:length])

    def closed(self) -> bool:
        return not self._rest and not self._fill()


@contextmanager
def connect(api: ApiServer, receive_bytes: int = 0) -> Iterator[Connection]:
    """`receive_bytes` limits what the kernel takes for a client that does not read; 0 leaves it to the kernel."""
    with socket.socket() as raw:
        raw.settimeout(20)
        if receive_bytes:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        raw.connect(("127.0.0.1", api.port))
        with ssl._create_unverified_context().wrap_socket(raw) as tls:
            yield Connection(tls)


def test_pipelined_requests_are_answered_in_order(api: ApiServer, namespace: str) -> None:
    for name in ("a", "b"):
        api.http.post(f"/api/v1/namespaces/{namespace}/configmaps", json={"metadata": {"name": name}})
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    api.http.get(path)  # the cache has both now
    paths = [f"{path}/a", f"{path}/b?resourceVersion=0", f"{path}/none", f"{path}/a?resourceVersion=0", path] * 4
    with connect(api) as connection:
        connection.send("".join(f"GET {one} HTTP/1.1\r\n{AUTH}\r\n" for one in paths))
        answers = [connection.answer() for _ in paths]
    kinds = [body["metadata"].get("name", body["kind"]) for _, _, body in answers]
    assert kinds == ["a", "b", "Status", "a", "ConfigMapList"] * 4


def test_head_has_the_headers_of_get_and_no_body(api: ApiServer, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}"
    size = len(api.http.get(path).content)
    with connect(api) as connection:
        for query in ("", "?resourceVersion=0"):
            connection.send(f"HEAD {path}{query} HTTP/1.1\r\n{AUTH}\r\n")
            status, headers = connection.head()
            assert (status, headers["content-length"]) == (200, str(size))
        connection.send(f"GET {path} HTTP/1.1\r\n{AUTH}\r\n")
        assert connection.answer()[0] == 200


def test_a_client_may_ask_before_it_sends_its_body(api: ApiServer, namespace: str) -> None:
    body = '{"metadata":{"name":"c"}}'
    with connect(api) as connection:
        connection.send(
            f"POST /api/v1/namespaces/{namespace}/configmaps HTTP/1.1\r\n{AUTH}"
            f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        assert connection.head()[0] == 100
        connection.send(body)
        assert connection.answer()[0] == 201


def test_a_body_that_is_refused_need_not_be_sent(api: ApiServer, namespace: str) -> None:
    with connect(api) as connection:
        connection.send(
            f"POST /api/v1/namespaces/{namespace}/configmaps HTTP/1.1\r\n{AUTH}"
            "Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"
        )
        status, headers, _ = connection.answer()
        assert (status, headers["connection"]) == (413, "close")
        assert connection.closed()


def test_a_body_may_come_in_chunks_and_slowly(api: ApiServer, namespace: str) -> None:
    with connect(api) as connection:
        connection.send(
            f"POST /api/v1/namespaces/{namespace}/configmaps HTTP/1.1\r\n{AUTH}Transfer-Encoding: chunked\r\n\r\n"
        )
        for piece in ('{"metadata":', '{"name":"c"', "}}"):
            connection.send(f"{len(piece):x}\r\n{piece}\r\n")
        connection.send("0\r\n\r\n")
        assert connection.answer()[0] == 201
        connection.send(f"GET /version HTTP/1.1\r\n{AUTH}\r\n")
        assert connection.answer()[0] == 200


def test_connections_end_as_the_client_says(api: ApiServer) -> None:
    for request in ("GET /version HTTP/1.0\r\n", "GET /api HTTP/1.1\r\nConnection: close\r\n"):
        with connect(api) as connection:
            connection.send(f"{request}{AUTH}\r\n")
            status, headers, _ = connection.answer()
            assert (status, headers["connection"]) == (200, "close")
            assert connection.closed()


def test_every_answer_can_be_told_apart_and_is_not_cached(api: ApiServer, namespace: str) -> None:
    ids = set()
    for path in (f"/api/v1/namespaces/{namespace}", f"/api/v1/namespaces/{namespace}?resourceVersion=0", "/api/v1/x"):
        headers = api.http.get(path).headers
        assert headers["cache-control"] == "no-cache, private"
        assert headers["date"].endswith("GMT")
        ids.add(headers["audit-id"])
    assert len(ids) == 3
    assert all(len(audit_id) == 36 for audit_id in ids)


def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing(api: ApiServer, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for _ in range(5):
        with connect(api) as connection:
            connection.send(f"POST {path} HTTP/1.1\r\n{AUTH}Content-Length: 100\r\n\r\n" + '{"metadata":{"name":"c"}}')
    assert api.http.get(path).json()["items"] == []
    idle = 'apiserver_current_inflight_requests{request_kind="mutating"} 0.0'
    eventually(lambda: idle in api.http.get("/metrics").text, "the server has noticed that they left")


def test_a_list_may_take_its_reader_longer_than_the_request_timeout(etcd: EtcdServer, tmp_path: Path) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    with ApiServer(tmp_path / "apiserver", etcd.url, "--request-timeout=1s") as api:
        for number in range(16):
            body = {"metadata": {"name": f"c{number}"}, "data": {"text": "x" * 1_000_000}}
            assert api.http.post(path, json=body).status_code == 201
        with connect(api, receive_bytes=65536) as connection, connect(api) as later:
            connection.send(f"GET {path} HTTP/1.1\r\n{AUTH}\r\n")
            status, headers = connection.head()
            assert (status, int(headers["content-length"]) > 16_000_000) == (200, True)
            later.send(f"POST {path} HTTP/1.1\r\n{AUTH}Content-Length: 100\r\n\r\n")
            assert later.answer()[0] == 504, "requests of this age are ended"
            assert len(connection.body(headers)["items"]) == 16
            connection.send(f"GET {path}/c1 HTTP/1.1\r\n{AUTH}\r\n")
            assert connection.answer()[2]["metadata"]["name"] == "c1"
