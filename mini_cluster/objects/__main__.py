"""`python -m mini_cluster.objects --server URL --pki FOLDER` makes them for a cluster that no launcher has made."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path
from time import monotonic

from mini_cluster.api import AdminApi
from mini_cluster.cluster.families import SERVICE_CIDRS, dns_address
from mini_cluster.errors import ApiError
from mini_cluster.objects.cloud import ensure_cloud_roles
from mini_cluster.objects.making import ensure_objects, try_again

PATIENCE_SECONDS = 120.0


def main() -> int:
    parser = argparse.ArgumentParser(description="Makes a new cluster's storage classes, ingress class, DNS and roles.")
    parser.add_argument("--server", required=True, metavar="URL", help="the API server")
    parser.add_argument("--pki", type=Path, required=True, metavar="DIR", help="folder of the administrator's key")
    parser.add_argument("--metrics-server", required=True, metavar="HOST", help="the metrics server")
    options = parser.parse_args()
    addresses = [dns_address(SERVICE_CIDRS[4])]
    with closing(AdminApi(options.server, options.pki)) as api:

        def make() -> None:
            ensure_cloud_roles(api)
            ensure_objects(api, addresses, options.metrics_server)

        try:
            try_again(make, monotonic() + PATIENCE_SECONDS)
        except ApiError as error:
            print(f"error: the cluster's objects can't be made: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
