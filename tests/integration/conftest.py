"""A real etcd and a real API server for whoever asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdServer]:
    """Empty, without TLS, gone after the test."""
    with EtcdServer(tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One API server on an etcd of its own, for all tests of a file; each works in a namespace of its own."""
    folder = tmp_path_factory.mktemp("api")
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url) as server:
        yield server


_namespaces = count(1)


@pytest.fixture
def namespace(api: ApiServer) -> str:
    """The name of a new namespace."""
    name = f"test-{next(_namespaces)}"
    api.make_namespace(name)
    return name


Shared = Callable[[str, dict[str, Any]], dict[str, Any]]


@pytest.fixture
def shared(api: ApiServer) -> Iterator[Shared]:
    """Creates what has no namespace, in the collection at a path, and deletes it after the test."""
    paths: list[str] = []

    def create(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = api.http.post(path, json=body)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        paths.append(f"{path}/{created['metadata']['name']}")
        return created

    yield create
    for path in reversed(paths):
        assert api.http.delete(path).status_code in (200, 404)
