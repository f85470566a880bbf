"""Requests that have to be refused: each with its exact Status, nothing stored, no memory kept, nothing in the log."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.process import TOKEN
from tests.malformed import CM, NAMESPACE, PODS, ROWS, Row, with_container

GROWTH_BYTES = 24 << 20  # what the allocators may keep of two more rounds of the table


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Its own server: with a ConfigMap and a Pod that the table's requests may not touch."""
    folder = tmp_path_factory.mktemp("api")
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url) as server:
        server.make_namespace(NAMESPACE)
        for path, body in ((CM, {"data": {"a": "1"}}), (PODS, with_container())):
            answer = server.http.post(path, json=body | {"metadata": {"name": "kept"}})
            assert answer.status_code == 201, answer.text
        yield server


def send(api: ApiServer, row: Row) -> tuple[int, dict[str, Any]]:
    url = api.http.base_url.copy_with(raw_path=row.path.encode())
    answer = api.http.request(row.method, url, content=row.body, headers=row.headers)
    if answer.headers["content-type"] == "application/yaml":
        return answer.status_code, yaml.safe_load(answer.text)
    return answer.status_code, answer.json()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_it_is_refused_with_a_reason(api: ApiServer, row: Row) -> None:
    row.check(*send(api, row))


def stored(api: ApiServer) -> dict[str, Any]:
    """Every object of every kind, and the store's revision."""
    found: dict[str, Any] = {}
    roots = ["/api/v1"] + [
        f"/apis/{group['preferredVersion']['groupVersion']}" for group in api.http.get("/apis").json()["groups"]
    ]
    for root in roots:
        for resource in api.http.get(root).json()["resources"]:
            if "list" in resource["verbs"]:
                found[f"{root}/{resource['name']}"] = api.http.get(f"{root}/{resource['name']}").json()["items"]
    return found


def test_nothing_is_stored_kept_or_logged(api: ApiServer) -> None:
    before = stored(api)
    sizes = []
    for _ in range(3):
        for row in ROWS:
            send(api, row)
        sizes.append(rss_bytes(api))
    assert stored(api) == before
    assert sizes[-1] - sizes[0] < GROWTH_BYTES, sizes
    log = api.log_file.read_text()
    assert "Traceback" not in log
    assert "ERROR" not in log


def rss_bytes(api: ApiServer) -> int:
    assert api.process is not None
    status = Path(f"/proc/{api.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


# What is no HTTP

AUTH = f"Host: x\r\nAuthorization: Bearer {TOKEN}\r\n"
POST = f"POST {CM} HTTP/1.1\r\n{AUTH}"
OBJECT = '{"metadata":{"name":"c"}}'
NO_HTTP = "Invalid HTTP request received."

RAW: list[tuple[str, str | bytes, int, str]] = [
    ("binary", b"\x00\x01\x02\r\n\r\n", 400, NO_HTTP),
    ("unknown protocol", "GET / HTTP/9.9\r\n\r\n", 400, NO_HTTP),
    ("lower-case method", f"get {CM} HTTP/1.1\r\n{AUTH}\r\n", 400, NO_HTTP),
    ("unknown method", f"FETCH {CM} HTTP/1.1\r\n{AUTH}\r\n", 400, NO_HTTP),
    ("CONNECT", f"CONNECT x:443 HTTP/1.1\r\n{AUTH}\r\n", 400, NO_HTTP),
    ("no path", f"GET HTTP/1.1\r\n{AUTH}\r\n", 400, NO_HTTP),
    ("header without colon", f"GET {CM} HTTP/1.1\r\n{AUTH}nonsense\r\n\r\n", 400, NO_HTTP),
    ("NUL in a header", f"GET {CM} HTTP/1.1\r\n{AUTH}X: a\x00b\r\n\r\n", 400, NO_HTTP),
    ("length is text", f"{POST}Content-Length: x\r\n\r\n", 400, NO_HTTP),
    ("negative length", f"{POST}Content-Length: -1\r\n\r\n", 400, NO_HTTP),
    ("two lengths", f"{POST}Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, NO_HTTP),
    ("length and chunks", f"{POST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, NO_HTTP),
    ("length of 64 bits", f"{POST}Content-Length: 18446744073709551616\r\n\r\n", 400, NO_HTTP),
    ("bad chunk", f"{POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, NO_HTTP),
    ("chunks of 3 MiB and more", f"{POST}Transfer-Encoding: chunked\r\n\r\n300001\r\n{' ' * 0x300001}\r\n", 413,
     "Request entity too large: limit is 3145728"),
    ("large length, to continue", f"{POST}Expect: 100-continue\r\nContent-Length: 3145729\r\n\r\n", 413,
     "Request entity too large: limit is 3145728"),
    ("header of 2 MiB", f"GET {CM} HTTP/1.1\r\n{AUTH}X: {'a' * (2 << 20)}", 431, "Request header is too large: …"),
    ("100,000 headers", f"GET {CM} HTTP/1.1\r\n{AUTH}{'a: b' * 1 + chr(13) + chr(10)}" + "a: b\r\n" * 200_000, 431,
     "Request header is too large: …"),
    ("path of 2 MiB", f"GET /{'a' * (2 << 20)}", 431, "Request header is too large: …"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "code", "message"), [row[1:] for row in RAW], ids=[row[0] for row in RAW])
def test_what_is_no_good_http_is_answered_and_ended(api: ApiServer, data: str | bytes, code: int, message: str) -> None:
    answer = exchange(api, data.encode() if isinstance(data, str) else data)
    head, _, body = answer.partition(b"\r\n\r\n")
    status = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % code)
    assert b"connection: close" in head.lower()
    Row("", code, message).check(code, status)


def exchange(api: ApiServer, data: bytes) -> bytes:
    """Everything that a server answers until it closes; it may do so before it has read all."""
    with (
        socket.create_connection(("127.0.0.1", api.port), timeout=20) as raw,
        ssl._create_unverified_context().wrap_socket(raw) as tls,
    ):
        received = b""
        try:
            tls.sendall(data)
            while piece := tls.recv(65536):
                received += piece
        except OSError:
            pass
        return received
