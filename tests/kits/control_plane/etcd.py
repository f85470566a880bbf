"""A real etcd on loopback for tests: started on free ports, stopped, killed and started again on the same data."""

from __future__ import annotations

import contextlib
import shutil
import signal
import urllib.error
import urllib.request
from pathlib import Path

from tests.kits.eventually import eventually
from tests.kits.process import Process, free_port

START_ATTEMPTS = 3  # another process may take a free port between its choice and etcd's bind


class EtcdServer(Process):
    """One member. `url` stays the same over restarts; `with EtcdServer(folder) as etcd` starts and removes it.

    With `tls` (cert, key and CA files) it speaks TLS and asks clients for a certificate.
    """

    def __init__(self, folder: Path, tls: tuple[Path, Path, Path] | None = None) -> None:
        super().__init__("etcd", folder)
        self._tls = tls
        self._choose_ports()

    def _choose_ports(self) -> None:
        self._client_port, self._peer_port, self._metrics_port = free_port(), free_port(), free_port()
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self._client_port}"

    def __enter__(self) -> EtcdServer:
        for attempt in range(START_ATTEMPTS):
            try:
                self.start()
                break
            except RuntimeError:
                if attempt == START_ATTEMPTS - 1:
                    raise
                shutil.rmtree(self.folder / "data", ignore_errors=True)
                self._choose_ports()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    def start(self) -> None:
        """Returns once it answers. Raises: RuntimeError with the end of its log when it doesn't."""
        peer = f"http://127.0.0.1:{self._peer_port}"
        command = ["etcd", "--name", "test", "--data-dir", str(self.folder / "data"), "--log-level", "warn"]
        command += ["--listen-client-urls", self.url, "--advertise-client-urls", self.url]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster"]
        command += [f"test={peer}", "--listen-metrics-urls", f"http://127.0.0.1:{self._metrics_port}"]
        command += ["--heartbeat-interval", "20", "--election-timeout", "200"]
        if self._tls:
            cert, key, ca = map(str, self._tls)
            command += ["--cert-file", cert, "--key-file", key, "--trusted-ca-file", ca, "--client-cert-auth"]
        self.run(command, ready=self._healthy)

    def _healthy(self) -> bool:
        with contextlib.suppress(OSError, urllib.error.URLError):
            with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics_port}/health", timeout=2) as answer:
                return b'"true"' in answer.read()
        return False

    def pause(self) -> None:
        """Stops answering without closing a connection, as a host that hangs.

        A thread that waits for the disk takes the signal late, and others answer until it does.
        """
        self.signal(signal.SIGSTOP)
        eventually(self._all_threads_stopped, "etcd stands still")

    def _all_threads_stopped(self) -> bool:
        assert self.process is not None
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/stat")
        return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in threads)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)
