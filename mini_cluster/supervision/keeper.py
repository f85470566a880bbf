"""Keeps one component alive: start, wait until ready, restart with backoff when it dies; adopts one that runs already.

A component is recognised by what its process shows in /proc (the cluster's mark in its environment, its command line),
not by a file of process ids: a record can be stale or missing after a crash, the process itself cannot.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from componentbase.tasks import wait_for
from mini_cluster.cluster.component import Component
from mini_cluster.cluster.layout import COMPONENT_MARKER, MARKER, Layout
from mini_cluster.errors import LauncherError
from mini_cluster.machine.processes import Process, read_process, send, snapshot, start_session, started_at
from mini_cluster.supervision.probes import ReadinessProber

FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
BACKOFF_RESET_SECONDS = 60.0  # a process that lived this long starts again from the first backoff
PROBE_INTERVAL_SECONDS = 0.05  # while a component starts; a refused connection costs some 50 µs
SLOW_PROBE_AFTER_SECONDS = 20.0  # one that is still not ready is asked less often
SLOW_PROBE_INTERVAL_SECONDS = 1.0
TERMINATE_SECONDS = 3.0  # a component that gets SIGTERM has this long before SIGKILL
LOG_BYTES = 32 * 1024 * 1024  # of a component that doesn't rotate its log itself, before its next start

INPUTS_MARKER = "MINI_KUBERNETES_INPUTS"
"""Environment variable with a hash of the files that a component reads at its start."""

WAITING, STARTING, READY, BACKOFF, STOPPED = "waiting", "starting", "ready", "backoff", "stopped"


class RestartBackoff:
    """Chooses how long to wait before the next start."""

    def __init__(self) -> None:
        self._next = FIRST_BACKOFF_SECONDS

    def after(self, lifetime_seconds: float) -> float:
        """Returns the seconds to wait after a process that lived this long."""
        if lifetime_seconds >= BACKOFF_RESET_SECONDS:
            self._next = FIRST_BACKOFF_SECONDS
        delay = self._next
        self._next = min(2 * self._next, LONGEST_BACKOFF_SECONDS)
        return delay


@dataclass
class ComponentStatus:
    """A component as it is shown."""

    name: str
    node: str = ""
    state: str = WAITING
    pid: int = 0
    started: float = 0.0
    """Unix seconds; 0 while it doesn't run."""
    restarts: int = 0
    detail: str = ""


def inputs_hash(component: Component, layout: Layout) -> str:
    """Hashes the certificates, kubeconfigs and other files on the command line: when one changes, a restart is due."""
    digest = hashlib.sha256()
    for argument in component.program[1:]:
        path = argument.partition("=")[2] or argument
        if path.startswith((f"{layout.pki}/", f"{layout.conf}/")):
            with suppress(FileNotFoundError):
                digest.update(Path(path).read_bytes())
    return digest.hexdigest()[:16]


def component_processes(processes: Mapping[int, Process], cluster: str, component: Component) -> list[Process]:
    """Returns the processes that are this component itself, in whatever configuration; not its helpers and children."""
    program = component.program[0]
    return [
        process
        for process in processes.values()
        if process.cluster == cluster and process.component == component.name and program in process.argv[:4]
    ]


def is_current(process: Process, component: Component, inputs: str, process_inputs: str) -> bool:
    """Tells whether the process was started with this very command line and these certificates."""
    arguments = component.program[1:]
    return process.argv[-len(arguments) :] == arguments and inputs == process_inputs


def process_inputs(pid: int) -> str:
    """Returns the hash that a component was started with; "" when the process is gone."""
    try:
        items = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    prefix = f"{INPUTS_MARKER}=".encode()
    return next((os.fsdecode(item.removeprefix(prefix)) for item in items if item.startswith(prefix)), "")


class Keeper:
    """The life of one component. `run` goes on until it is cancelled, and leaves the process running then."""

    def __init__(
        self,
        component: Component,
        layout: Layout,
        prober: ReadinessProber,
        *,
        prepare: Callable[[Component], Awaitable[None]],
        wait_ready: Callable[[str], Awaitable[None]],
        changed: Callable[[ComponentStatus], None],
    ) -> None:
        """`prepare` makes what the process needs before each start; `wait_ready` waits for another component."""
        self.component = component
        self.status = ComponentStatus(component.name, component.node)
        self._layout = layout
        self._prober = prober
        self._prepare = prepare
        self._wait_ready = wait_ready
        self._changed = changed
        self._process: Process | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._retry_now = asyncio.Event()

    async def run(self) -> None:
        backoff = RestartBackoff()
        self._adopt()
        while True:
            began = time.monotonic()
            self._retry_now.clear()
            try:
                if self._process is None:
                    await self._start()
                problem = await self._watch()
            except (OSError, StartError) as error:
                problem = str(error)
            delay = backoff.after(time.monotonic() - began)
            self._process = None
            self._show(BACKOFF, f"{problem}; next start in {delay:g} s")
            await wait_for(self._retry_now, delay)
            self.status.restarts += 1

    def retry_now(self) -> None:
        """Cuts a backoff short."""
        self._retry_now.set()

    async def terminate(self, seconds: float, first: signal.Signals = signal.SIGTERM) -> None:
        """Ends the process: a signal, and SIGKILL after `seconds` (0: at once)."""
        process = self._process
        if process is not None:
            await end_process(process, seconds, first)
            self._reap()
        self._process = None
        self._show(STOPPED)

    def _adopt(self) -> None:
        """Takes over the running process of this component, and ends what runs in another configuration."""
        inputs = inputs_hash(self.component, self._layout)
        for process in component_processes(snapshot(), self._layout.key, self.component):
            if self._process is None and is_current(process, self.component, inputs, process_inputs(process.pid)):
                self._process = process
                self._show(STARTING, "adopted")
            else:
                send(process, signal.SIGKILL)

    async def _start(self) -> None:
        self._show(WAITING)
        for need in self.component.needs:
            await self._wait_ready(need)
        await self._prepare(self.component)
        self._child = spawn(self.component, self._layout)
        self._process = read_process(self._child.pid)
        if self._process is None:
            raise StartError(f"ended at once ({_ending(self._child.wait())})")
        self._show(STARTING)

    async def _watch(self) -> str:
        """Waits until the process ends; returns how it ended. Meanwhile finds out when it becomes ready."""
        assert self._process is not None
        async with asyncio.TaskGroup() as tasks:
            readiness = tasks.create_task(self._await_ready())
            await process_end(self._process.pid)
            readiness.cancel()
        return self._reap() or "ended"

    async def _await_ready(self) -> None:
        began = time.monotonic()
        while not await self._prober.is_ready(self.component.ready):
            slow = time.monotonic() - began > SLOW_PROBE_AFTER_SECONDS
            await asyncio.sleep(SLOW_PROBE_INTERVAL_SECONDS if slow else PROBE_INTERVAL_SECONDS)
        self._show(READY)

    def _reap(self) -> str:
        """Returns how our own child ended; "" for an adopted process, whose exit code only its parent gets."""
        child, self._child = self._child, None
        return _ending(child.wait()) if child is not None else ""

    def _show(self, state: str, detail: str = "") -> None:
        process = self._process
        self.status.state, self.status.detail = state, detail
        self.status.pid = process.pid if process else 0
        self.status.started = started_at(process) if process else 0.0
        self._changed(self.status)


class StartError(LauncherError):
    """A component could not be started; the message says why."""


def spawn(component: Component, layout: Layout) -> subprocess.Popen[bytes]:
    """Starts the process in a session of its own, its standard error in its log. Raises: StartError."""
    path = layout.log(component.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not component.logs_itself and path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    marks = {MARKER: layout.key, COMPONENT_MARKER: component.name, INPUTS_MARKER: inputs_hash(component, layout)}
    try:
        return start_session(component.argv, path, {**component.environment, **marks})
    except OSError as error:
        raise StartError(f"cannot run {component.argv[0]}: {error.strerror}") from None


async def end_process(process: Process, seconds: float, first: signal.Signals = signal.SIGTERM) -> None:
    """Sends a signal, then SIGKILL after `seconds`; returns when the process has ended."""
    if seconds > 0:
        send(process, first)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await process_end(process.pid)
                return
    send(process, signal.SIGKILL)
    await process_end(process.pid)


async def process_end(pid: int) -> None:
    """Returns when the process has ended (or never was)."""
    loop = asyncio.get_running_loop()
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def _ending(code: int) -> str:
    """Words an exit code: "exit code 1", "killed by SIGKILL"."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"
