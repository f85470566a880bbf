"""Runs the `cluster-autoscaler` command."""

from __future__ import annotations

import sys

from cluster_autoscaler.autoscaler import CONTROLLER
from cluster_autoscaler.options import NAME, parse
from componentbase import daemon, logs
from kubeclient import manager


def main() -> int:
    options = parse()
    logs.setup(NAME, options.log_file, options.verbosity)
    return daemon.run(lambda: manager.run(NAME, {NAME: CONTROLLER}, options, [options.provider.run]), NAME)


if __name__ == "__main__":
    sys.exit(main())
