"""Runs the `cloud-controller-manager` command."""

from __future__ import annotations

import sys

from cloud_controller_manager.options import CONTROLLERS, NAME, parse
from componentbase import daemon, logs
from kubeclient import manager


def main() -> int:
    specs = manager.collect_controllers(CONTROLLERS)
    options = parse(specs.values())
    logs.setup(NAME, options.log_file, options.verbosity)
    return daemon.run(lambda: manager.run(NAME, specs, options, [options.provider.run]), NAME)


if __name__ == "__main__":
    sys.exit(main())
