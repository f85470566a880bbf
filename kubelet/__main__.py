"""`kubelet`: the agent of a worker host. SIGPWR tells it that the host is about to be switched off."""

from __future__ import annotations

import asyncio
import signal
import sys

from componentbase import daemon, logs
from kubelet.options import parse_options


def main() -> int:
    options = parse_options()
    logs.setup("kubelet", options.log_file, options.verbosity)

    async def run() -> None:
        from kubelet.main.agent import run_kubelet
        from kubelet.main.network import pod_network
        from kubelet.runtime.docker.runtime import DockerRuntime

        seccomp_root = f"{options.root_dir}/seccomp"
        network = pod_network(options)
        runtime = DockerRuntime(options.endpoint, network, pause_image=options.pause_image, seccomp_root=seccomp_root)
        host_stops = asyncio.Event()
        if options.shutdown_periods:
            asyncio.get_running_loop().add_signal_handler(signal.SIGPWR, host_stops.set)
        await run_kubelet(options, runtime, host_stops=host_stops)

    return daemon.run(run, "kubelet")


if __name__ == "__main__":
    sys.exit(main())
