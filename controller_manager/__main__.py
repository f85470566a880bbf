"""The `kube-controller-manager` command."""

from __future__ import annotations

import sys

from componentbase import daemon, logs
from controller_manager import manager
from controller_manager.options import parse


def main() -> int:
    options = parse()
    logs.setup(manager.NAME, options.log_file, options.v)
    return daemon.run(lambda: manager.run(options), manager.NAME)


if __name__ == "__main__":
    sys.exit(main())
