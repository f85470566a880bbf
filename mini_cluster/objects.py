"""Makes the objects that a cluster needs beside those that its API server makes by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from mini_cluster.cluster.state import ClusterState
from mini_cluster.errors import ApiError
from mini_cluster.supervision.client import POLL_SECONDS

if TYPE_CHECKING:
    from mini_cluster.api import AdminApi

Connect = Callable[[ClusterState], AbstractContextManager["AdminApi"]]


@contextmanager
def making_objects(connect: Connect, state: ClusterState, deadline: float) -> Iterator[None]:
    """Makes them as soon as the API server answers, while the block goes on; all are made when it is left.

    Daemons that are started in the block need them. Raises: ApiError when they can't be made before `deadline`
    (monotonic).
    """
    given_up = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(_make, connect, state, deadline, given_up)
        try:
            yield
        except BaseException:
            given_up.set()
            raise
        making.result()


def _make(connect: Connect, state: ClusterState, deadline: float, given_up: threading.Event) -> None:
    """A cluster with worker hosts has storage classes, and daemons of the local cloud have rights."""
    if state.joined is not None or not (state.nodes or state.join_address or state.cloud):
        return None
    from mini_cluster.cloud_roles import ensure_cloud_roles
    from mini_cluster.storage_classes import ensure_storage_classes

    with connect(state) as api:
        while True:
            try:
                if state.cloud:
                    ensure_cloud_roles(api)
                return ensure_storage_classes(api)
            except ApiError:
                if given_up.wait(POLL_SECONDS) or monotonic() > deadline:
                    raise
