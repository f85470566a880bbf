"""`kube-apiserver`: flags, then one event loop until a signal."""

from __future__ import annotations

import sys

from apiserver.options.options import parse_options
from componentbase import daemon, logs


def main() -> None:
    options = parse_options()
    logs.setup("kube-apiserver", options.log_file, options.verbosity)
    from apiserver.main.server import run

    seconds = daemon.SHUTDOWN_SECONDS + options.shutdown_delay_seconds + options.drain_seconds
    sys.exit(daemon.run(lambda: run(options), "kube-apiserver", shutdown_seconds=seconds))


if __name__ == "__main__":
    main()
