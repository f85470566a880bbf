"""Programs that run in the background of a test: etcd, an engine, our daemons with kubeconfig, port and log."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.kits.eventually import eventually
from tests.kits.nursery import PRELOADED, Fork

STOP_SECONDS = 20.0
DUMP_SECONDS = 5.0
TOKEN = "test-token"
"""An administrator's token for the API server of a test."""


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listened on a moment ago, and that the kernel gives to no connection."""
    while True:
        port = random.SystemRandom().randrange(10_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def kubeconfig(url: str) -> dict[str, Any]:
    """A kubeconfig of the administrator."""
    return {
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": url, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "c", "user": {"token": TOKEN}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    }


QUICK_ELECTION = (
    "--leader-elect-lease-duration=2s", "--leader-elect-renew-deadline=1s", "--leader-elect-retry-period=200ms",
)  # fmt: skip


class Process:
    """One program, which may be started again after its end. What it prints goes to `folder`/NAME.output."""

    def __init__(self, name: str, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name, self.folder = name, folder
        self.output = folder / f"{name}.output"
        self.process: subprocess.Popen[bytes] | Fork | None = None

    def run(self, command: Sequence[str], ready: Callable[[], object] | None = None, **options: Any) -> None:
        """Starts it. Raises: RuntimeError with its last words when it ends, or is not `ready` in time."""
        environment = {**os.environ, "PYTHONFAULTHANDLER": "1"}  # SIGABRT makes it say what its threads do
        with self.output.open("ab") as output:
            if list(command[:2]) == [sys.executable, "-m"] and command[2] in PRELOADED and not options:
                self.process = Fork(command[2], command[3:], output, environment)
            else:
                self.process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, **options)
        if ready is None:
            return
        try:
            eventually(lambda: not self.running or ready(), f"{self.name} is ready")
            assert self.running
        except AssertionError:
            self.kill()
            raise RuntimeError(f"{self.name} did not start:\n{self.words()[-2000:]}") from None

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def words(self) -> str:
        """All that it has printed."""
        return self.output.read_text() if self.output.exists() else ""

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None, f"{self.name} does not run"
        self.process.send_signal(number)

    def stop(self) -> int:
        """Asks it to end; its exit code, 0 when it did not run. Raises: RuntimeError with its last words when it
        doesn't end in time."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """kill -9: nothing is flushed that was not already."""
        return self._end(signal.SIGKILL)

    def _end(self, number: int) -> int:
        if self.process is None:
            return 0
        process, self.process = self.process, None
        process.send_signal(number)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(DUMP_SECONDS)
            process.kill()
            process.wait()
            raise RuntimeError(f"{self.name} did not end:\n{self.words()[-6000:]}") from None


class Daemon(Process):
    """One of our daemons against the API server at `url`, with a port and a log of its own.

    `with Daemon(…)` starts it; it must end with code 0, unless a test has ended it before.
    """

    def __init__(self, package: str, url: str, folder: Path, *flags: str, inside: Sequence[str] = ()) -> None:
        self.port = free_port()
        super().__init__(f"{package}-{self.port}", folder)
        self.log = folder / f"{self.name}.log"
        config = folder / f"{self.name}.kubeconfig"
        config.write_text(json.dumps(kubeconfig(url)))
        self.command = [
            *inside,
            sys.executable,
            "-m",
            package,
            f"--kubeconfig={config}",
            f"--log-file={self.log}",
            *flags,
        ]

    def start(self) -> None:
        self.run(self.command)

    def __enter__(self) -> Daemon:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            assert self.stop() == 0, self.words()[-2000:]

    def words(self) -> str:
        return super().words() + (self.log.read_text() if self.log.exists() else "")

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"https://127.0.0.1:{self.port}{path}", verify=False)

    @property
    def leads(self) -> bool:
        """Whether it has been elected."""
        return " leading " in self.words()


def scheduler(api_url: str, folder: Path, *flags: str) -> Daemon:
    """A scheduler that becomes the leader soon."""
    daemon = Daemon("scheduler", api_url, folder)
    daemon.command += ["--bind-address=127.0.0.1", f"--secure-port={daemon.port}", f"--cert-dir={folder}"]
    daemon.command += [*QUICK_ELECTION, *flags]
    return daemon


def controller_manager(api_url: str, folder: Path, *flags: str) -> Daemon:
    """A controller manager, without leader election unless `flags` ask for it."""
    daemon = Daemon("controller_manager", api_url, folder)
    ca = folder / "root-ca.crt"
    ca.write_text("-----BEGIN CERTIFICATE-----\n")
    daemon.command += ["--bind-address=127.0.0.1", f"--secure-port={daemon.port}", f"--cert-dir={folder}"]
    daemon.command += [f"--root-ca-file={ca}", "--leader-elect=false", *flags]
    return daemon
