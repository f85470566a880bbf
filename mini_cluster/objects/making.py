"""Makes the objects of a new cluster while its daemons start."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING

from mini_cluster.cluster.state import ClusterState
from mini_cluster.errors import ApiError
from mini_cluster.supervision.client import POLL_SECONDS

if TYPE_CHECKING:
    from mini_cluster.api import AdminApi

Connect = Callable[[ClusterState], AbstractContextManager["AdminApi"]]


@contextmanager
def making_objects(connect: Connect, state: ClusterState, deadline: float, metrics_host: str) -> Iterator[None]:
    """Makes them as soon as the API server answers, while the block goes on; all are made when it is left.

    Daemons that are started in the block need them. `metrics_host` is where the API server finds the metrics server.
    Raises: ApiError when they can't be made before `deadline` (monotonic).
    """
    given_up = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        making = pool.submit(_make, connect, state, deadline, metrics_host, given_up)
        try:
            yield
        except BaseException:
            given_up.set()
            raise
        making.result()


def _make(connect: Connect, state: ClusterState, deadline: float, metrics_host: str, given_up: threading.Event) -> None:
    """A cluster with worker hosts has storage classes and DNS, and daemons of the local cloud have rights."""
    if state.joined is not None or not (state.nodes or state.join_address or state.cloud):
        return None
    from mini_cluster.objects.cloud import ensure_cloud_roles

    with connect(state) as api:

        def make() -> None:
            if state.cloud:
                ensure_cloud_roles(api)
            ensure_objects(api, [each.dns_address for each in state.cluster_networks], metrics_host)

        return try_again(make, deadline, given_up.wait)


def try_again(make: Callable[[], None], deadline: float, wait: Callable[[float], object] = sleep) -> None:
    """Calls `make` until the API server takes it all. `wait` waits for so many seconds; true: no more tries.

    Raises: ApiError, the last one, at `deadline` (monotonic) or when there are no more tries.
    """
    while True:
        try:
            return make()
        except ApiError:
            if monotonic() > deadline or wait(POLL_SECONDS):
                raise


def ensure_objects(api: AdminApi, dns_addresses: Sequence[str], metrics_host: str) -> None:
    """Makes what every cluster with worker hosts has. `metrics_host` is where the API server finds the metrics server.

    Raises: ApiError.
    """
    from mini_cluster.cluster.metrics import PORT
    from mini_cluster.objects.dns import ensure_dns
    from mini_cluster.objects.ingress import ensure_ingress
    from mini_cluster.objects.metrics import ensure_metrics
    from mini_cluster.objects.netagent import ensure_netagent_role
    from mini_cluster.objects.storage import ensure_storage_classes

    ensure_netagent_role(api)
    ensure_dns(api, dns_addresses)
    ensure_ingress(api)
    ensure_storage_classes(api)
    ensure_metrics(api, metrics_host, PORT)
