"""`python -m mini_cluster.objects --server URL --pki FOLDER` makes them for a cluster that no launcher has made."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path

from mini_cluster.api import AdminApi
from mini_cluster.cluster.families import SERVICE_CIDRS, dns_address
from mini_cluster.objects.making import ensure_objects


def main() -> int:
    parser = argparse.ArgumentParser(description="Makes a new cluster's storage classes, ingress class, DNS and roles.")
    parser.add_argument("--server", required=True, metavar="URL", help="the API server")
    parser.add_argument("--pki", type=Path, required=True, metavar="DIR", help="folder of the administrator's key")
    parser.add_argument("--metrics-server", required=True, metavar="HOST", help="the metrics server")
    options = parser.parse_args()
    with closing(AdminApi.at(options.server, options.pki)) as api:
        ensure_objects(api, [dns_address(SERVICE_CIDRS[4])], options.metrics_server)
    return 0


if __name__ == "__main__":
    sys.exit(main())
