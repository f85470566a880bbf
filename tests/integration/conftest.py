"""A real etcd for whoever asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.etcd import EtcdServer


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdServer]:
    """Empty, without TLS, gone after the test."""
    with EtcdServer(tmp_path) as server:
        yield server
