"""Runs the static pods of the manifest files, with or without an API server."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from componentbase import logs
from componentbase.clock import Clock
from componentbase.host.inotify import FolderWatcher
from componentbase.tasks import first_of
from kubelet.pod.table import PodTable
from kubelet.pod.workers import PodWorkers
from kubelet.source.files import ManifestFiles

SETTLE_SECONDS = 0.1  # a file that has changed is likely being written

log = logs.logger(__name__)


class StaticPods:
    """A changed file is another pod: it starts when nothing of the one before it is left.

    `report` gets a message about each file that is wrong.
    """

    def __init__(
        self,
        files: ManifestFiles,
        every_seconds: float,
        table: PodTable,
        workers: PodWorkers,
        report: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self._files = files
        self._every_seconds = every_seconds
        self._table = table
        self._workers = workers
        self._report = report
        self._clock = clock
        self._watcher = FolderWatcher()
        self._pods_changed = table.follow()
        self._trouble = ""  # told once

    async def run(self) -> None:
        """Looks at the files when they change, and every so often; runs until cancelled."""
        with contextlib.closing(self._watcher):
            while True:
                with self._watching() as files_changed:
                    await self.read()
                    while await self._other_pod(files_changed):
                        self._apply()
                if files_changed.is_set():
                    await self._clock.sleep(SETTLE_SECONDS)

    async def read(self) -> None:
        """Reads the files that have changed, and starts and ends pods accordingly."""
        try:
            for problem in await asyncio.to_thread(self._files.scan):
                log.error("manifest file not understood", problem=problem)
                self._report(problem)
            self._trouble = ""
        except OSError as error:
            if str(error) != self._trouble:
                log.warning("manifests of static pods not read", path=self._files.path, error=str(error))
            self._trouble = str(error)
        self._apply()

    async def _other_pod(self, files_changed: asyncio.Event) -> bool:
        """Waits; returns True when only pods have come or left, so that the files need no look."""
        await first_of(files_changed.wait(), self._pods_changed.wait(), self._clock.sleep(self._every_seconds))
        return self._pods_changed.is_set() and not files_changed.is_set()

    def _apply(self) -> None:
        wanted = self._files.pods()
        for work in self._table.static():
            if work.uid not in wanted and not work.gone:
                log.info("static pod removed", pod=work.asked.key, uid=work.uid)
                self._workers.remove(work.asked)
        names = {work.asked.key for work in self._table.static()}
        for uid, pod in wanted.items():
            if pod.key not in names:
                log.info("static pod added", pod=pod.key, uid=uid)
                self._workers.update(pod, static=True)
        self._pods_changed.clear()  # by these changes, too

    @contextlib.contextmanager
    def _watching(self) -> Iterator[asyncio.Event]:
        """Watches the folder, which may have been made anew since the last time; one that is missing never changes."""
        path = Path(self._files.path)
        with contextlib.ExitStack() as stack:
            try:
                changed = stack.enter_context(self._watcher.watching(path if os.path.isdir(path) else path.parent))
            except OSError:
                changed = asyncio.Event()
            yield changed
