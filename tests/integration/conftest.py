"""A real etcd and a real API server for whoever asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.kits.apiserver import ApiServer
from tests.kits.etcd import EtcdServer


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
