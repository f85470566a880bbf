"""Runs the `kube-controller-manager` command."""

from __future__ import annotations

import sys

from componentbase import daemon, logs
from controller_manager.options import CONTROLLERS, NAME, parse
from kubeclient import manager


def main() -> int:
    specs = manager.collect_controllers(CONTROLLERS)
    options = parse(specs.values())
    logs.setup(NAME, options.log_file, options.verbosity)
    return daemon.run(lambda: manager.run(NAME, specs, options), NAME)


if __name__ == "__main__":
    sys.exit(main())
