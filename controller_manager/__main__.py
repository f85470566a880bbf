"""Runs the `kube-controller-manager` command."""

from __future__ import annotations

import sys

from componentbase import daemon, logs
from controller_manager import manager
from controller_manager.options import parse


def main() -> int:
    specs = manager.collect_controllers()
    options = parse(specs.values())
    logs.setup(manager.NAME, options.log_file, options.verbosity)
    return daemon.run(lambda: manager.run(specs, options), manager.NAME)


if __name__ == "__main__":
    sys.exit(main())
