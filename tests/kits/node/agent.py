"""A whole kubelet in a thread, on a real API server, with a container runtime in memory."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubelet.main.agent import run_kubelet
from kubelet.options import parse_options
from tests.fakes.runtime import FakeRuntime
from tests.kits.control_plane.apiserver import ApiServer
from tests.kits.process import TOKEN, free_port

NODE = "worker-1"


class Kubelet:
    """A kubelet in a thread of its own; `stop` is as abrupt as a kill for everything it holds."""

    def __init__(self, api: ApiServer, root: Path, *flags: str) -> None:
        self.root = root
        self.runtime = FakeRuntime()
        self.runtime.add_image("docker.io/library/app:1")
        root.mkdir(parents=True, exist_ok=True)
        kubeconfig = root / "kubeconfig"
        kubeconfig.write_text(
            f"""
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "{api.url}", insecure-skip-tls-verify: true}}}}]
users: [{{name: u, user: {{token: {TOKEN}}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"""
        )
        self.options = parse_options(
            [
                f"--kubeconfig={kubeconfig}",
                f"--hostname-override={NODE}",
                "--node-ip=127.0.0.1",
                "--node-labels=disk=ssd",
                "--node-status-update-frequency=200ms",
                f"--root-dir={root}/kubelet",
                "--address=127.0.0.1",
                f"--port={free_port()}",
                "--shutdown-grace-period=3s",
                "--shutdown-grace-period-critical-pods=1s",
                *flags,
            ]
        )
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        self._host_stops: asyncio.Event
        self.failure: BaseException | None = None

    def start(self) -> None:
        started = threading.Event()

        async def main() -> None:
            self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
            self._host_stops = asyncio.Event()
            started.set()
            await run_kubelet(self.options, self.runtime, host_stops=self._host_stops)

        def body() -> None:
            try:
                asyncio.run(main())
            except asyncio.CancelledError:
                pass
            except BaseException as error:
                self.failure = error

        self._thread = threading.Thread(target=body)
        self._thread.start()
        started.wait()

    def stop(self) -> None:
        assert self._loop is not None
        assert self._main is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join()
        assert self.failure is None, self.failure

    def switch_host_off(self) -> None:
        """Tells it that its host is about to go, and returns when it has ended."""
        assert self._thread is not None
        self.do(lambda: self._host_stops.set())
        self._thread.join()
        assert self.failure is None, self.failure

    def take_runtime(self, away: bool) -> None:
        def change() -> None:
            self.runtime.available = not away
            if away:
                self.runtime.break_events()

        self.do(change)

    def do(self, action: Callable[[], Any]) -> None:
        """Runs something in the kubelet's loop, where the runtime lives."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(action)
