"""Makes the objects that a cluster needs beside those that its API server makes by itself.

`python -m mini_cluster.objects --server URL --pki FOLDER` does so for clusters that the launcher has not made.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from mini_cluster.cluster.families import SERVICE_CIDRS, dns_address
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
    """A cluster with worker hosts has storage classes and DNS, and daemons of the local cloud have rights."""
    if state.joined is not None or not (state.nodes or state.join_address or state.cloud):
        return None
    from mini_cluster.cloud_roles import ensure_cloud_roles

    with connect(state) as api:
        while True:
            try:
                if state.cloud:
                    ensure_cloud_roles(api)
                return ensure_objects(api, [each.dns_address for each in state.cluster_networks])
            except ApiError:
                if given_up.wait(POLL_SECONDS) or monotonic() > deadline:
                    raise


def ensure_objects(api: AdminApi, dns_addresses: Sequence[str]) -> None:
    """Makes what every cluster with worker hosts has. Raises: ApiError."""
    from mini_cluster.dns_objects import ensure_dns
    from mini_cluster.ingress_objects import ensure_ingress
    from mini_cluster.netagent_role import ensure_netagent_role
    from mini_cluster.storage_classes import ensure_storage_classes

    ensure_netagent_role(api)
    ensure_dns(api, dns_addresses)
    ensure_ingress(api)
    ensure_storage_classes(api)


def main() -> int:
    from mini_cluster.api import AdminApi

    parser = argparse.ArgumentParser(description="Makes a new cluster's storage classes, ingress class, DNS and roles.")
    parser.add_argument("--server", required=True, metavar="URL", help="the API server")
    parser.add_argument("--pki", type=Path, required=True, metavar="DIR", help="folder of the administrator's key")
    options = parser.parse_args()
    with closing(AdminApi.at(options.server, options.pki)) as api:
        ensure_objects(api, [dns_address(SERVICE_CIDRS[4])])
    return 0


if __name__ == "__main__":
    sys.exit(main())
