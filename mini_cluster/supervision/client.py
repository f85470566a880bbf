"""The supervisor as the launcher uses it: started, asked, and shown while it works."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from mini_cluster.cluster.layout import COMPONENT_MARKER, MARKER, Layout
from mini_cluster.errors import ClusterError
from mini_cluster.machine.processes import Process, send, snapshot, start_session, started_at, wait_gone
from mini_cluster.supervision import control
from mini_cluster.supervision.control import ControlError, NoSupervisor
from mini_cluster.supervision.keeper import STOPPED, ComponentStatus

READY_SECONDS = 120.0
SILENCE_SECONDS = 60.0  # the longest that the supervisor may leave a request without a word
START_SECONDS = 10.0
SHUTDOWN_SECONDS = 30.0
POLL_SECONDS = 0.05


class SupervisorClient:
    """Speaks to the supervisor of one cluster, which may not be running."""

    def __init__(self, layout: Layout, show: Callable[[dict[str, Any]], None], owner_pid: int) -> None:
        """`show` gets each line of progress. With `owner_pid`, a supervisor that is started ends with that process."""
        self._layout = layout
        self._show = show
        self._owner_pid = owner_pid

    def pid(self) -> int:
        """Returns its process id; 0 when it doesn't run."""
        return next((process.pid for process in self._processes() if process.component == "supervisor"), 0)

    def statuses(self) -> list[ComponentStatus]:
        """Returns the state of each component. Raises: NoSupervisor, ControlError."""
        return [ComponentStatus(**line) for line in self._call({"op": "status"}, SILENCE_SECONDS)]

    def unsupervised(self) -> list[ComponentStatus]:
        """Returns the components that run although the supervisor doesn't; where none does, the supervisor."""
        statuses: dict[str, ComponentStatus] = {}
        for process in self._processes():
            statuses.setdefault(
                process.component,
                ComponentStatus(process.component, "", "unsupervised", process.pid, started_at(process)),
            )
        return list(statuses.values()) or [ComponentStatus("supervisor", state=STOPPED)]

    def start(self) -> None:
        """Starts it unless it answers. One that is deaf, or runs other code, is replaced; components don't notice."""
        if self._version() == control.code_version():
            return
        for process in self._processes():
            if process.component == "supervisor":
                send(process, signal.SIGKILL)
                wait_gone([process], SHUTDOWN_SECONDS)
        layout = self._layout
        layout.logs.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-P", "-m", "mini_cluster.supervision.supervisor", str(layout.root)]
        marks = {MARKER: layout.key, COMPONENT_MARKER: "supervisor"}
        start_session([*argv, str(self._owner_pid)], layout.supervisor_log, marks)

    def await_start(self) -> None:
        """Raises: ClusterError when it doesn't answer in time."""
        deadline = time.monotonic() + START_SECONDS
        while not self._version():
            if time.monotonic() > deadline:
                raise ClusterError(f"the supervisor did not start: see {self._layout.supervisor_log}")
            time.sleep(POLL_SECONDS)

    def perform(self, request: dict[str, Any]) -> None:
        """Sends a request that streams, and shows its lines until everything is ready.

        Raises: ClusterError, NoSupervisor.
        """
        deadline = time.monotonic() + READY_SECONDS
        waiting: list[str] = []
        try:
            for line in self._call(request, SILENCE_SECONDS):
                self._show(line)
                waiting = line.get("waiting", waiting)
                if time.monotonic() > deadline:
                    raise ClusterError(f"not ready after {READY_SECONDS:g} s: {', '.join(waiting)}")
        except NoSupervisor:
            raise
        except (ControlError, ClusterError) as error:
            raise ClusterError(f"{error}\nsee `mini-cluster logs COMPONENT` (files in {self._layout.logs})") from None

    def shut_down(self, *, at_once: bool) -> None:
        """Lets it end everything and itself, if it answers; what is left is for the sweep."""
        request = {"op": "shutdown", "at_once": at_once}
        with suppress(ControlError):
            for _ in self._call(request, SHUTDOWN_SECONDS):
                pass

    def _version(self) -> str:
        """Returns the version of the running supervisor's code, "" when it doesn't answer."""
        with suppress(ControlError):
            for line in self._call({"op": "version"}, control.CONNECT_SECONDS):
                return str(line["version"])
        return ""

    def _call(self, request: dict[str, Any], seconds: float) -> Iterator[dict[str, Any]]:
        return control.call(self._layout.supervisor_socket, request, seconds=seconds)

    def _processes(self) -> list[Process]:
        """Returns the cluster's processes that run now."""
        return [process for process in snapshot().values() if process.cluster == self._layout.key]
