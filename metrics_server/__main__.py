"""metrics-server: flags, then one event loop until a signal."""

from __future__ import annotations

import sys

from componentbase import daemon, logs
from metrics_server.options import parse_options

NAME = "metrics-server"


def main() -> None:
    options = parse_options()
    logs.setup(NAME, options.log_file, options.verbosity)
    from metrics_server.server import run

    sys.exit(daemon.run(lambda: run(options), NAME))


if __name__ == "__main__":
    main()
