"""One lab for all tests of the folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.control_plane.etcd import EtcdServer
from tests.kits.node.policylab import PolicyLab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PolicyLab]:
    folder = tmp_path_factory.mktemp("lab")
    with EtcdServer(folder) as etcd, ApiServer(folder / "apiserver", etcd.url) as api:
        made = PolicyLab(api, folder)
        try:
            made.create()
            made.start()
            yield made
        finally:
            made.close()
