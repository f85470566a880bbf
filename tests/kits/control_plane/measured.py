"""An API server whose CPU time is counted, for benchmarks that compare servers on one machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.kits.control_plane.apiserver import ApiServer

CLIENTS = 6  # at once, so that the server is as warm as under load


class MeasuredServer(ApiServer):
    """An API server whose CPU time is counted."""

    def __init__(self, folder: Path, etcd_url: str, *flags: str) -> None:
        super().__init__(folder, etcd_url, *flags)
        self.microseconds: dict[str, list[float]] = {}
        """What was done -> the CPU that one request took, a figure for each round."""

    def measure(self, what: str, request: Callable[[str], None], names: Sequence[str]) -> None:
        before = self._cpu_nanoseconds()
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(request, names))
        self.microseconds.setdefault(what, []).append((self._cpu_nanoseconds() - before) / len(names) / 1000)

    def _cpu_nanoseconds(self) -> int:
        assert self.process is not None
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


class CheckoutServer(MeasuredServer):
    """The API server of a checkout."""

    def __init__(self, checkout: Path, folder: Path, etcd_url: str) -> None:
        super().__init__(folder, etcd_url)
        self.checkout = checkout

    def run(self, command: Sequence[str], ready: Callable[[], object] | None = None, **options: Any) -> None:
        super().run(command, ready, cwd=self.checkout, **options)
