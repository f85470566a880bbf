"""The API over our own server, and for the files named here also as an application under ASGI."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kits.control_plane.apiserver import ApiClient, ApiServer, asgi_api
from tests.kits.control_plane.etcd import EtcdServer

UNDER_ASGI_TOO = ("crud", "reads", "watchlist", "apply", "bad_input", "reviews", "openapi")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    module = metafunc.module.__name__.rpartition(".test_")[2]
    if "api" in metafunc.fixturenames and module in UNDER_ASGI_TOO:
        metafunc.parametrize("api", ["https", "asgi"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiClient]:
    """One API server on an etcd of its own, for all tests of a file; each works in a namespace of its own."""
    folder = tmp_path_factory.mktemp("api")
    with EtcdServer(folder) as etcd:
        if getattr(request, "param", "https") == "asgi":
            with asgi_api(folder / "apiserver", etcd.url) as application:
                yield application
        else:
            with ApiServer(folder / "apiserver", etcd.url) as server:
                yield server
