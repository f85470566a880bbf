"""Processes of the machine as /proc shows them: which belong to a cluster, and ending exactly those."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mini_cluster.cluster.layout import COMPONENT_MARKER, MARKER

KILL_ROUNDS = 20  # a container's processes may fork while they are being ended; each round ends what is left
KILL_ROUND_SECONDS = 0.5


@dataclass(frozen=True)
class Process:
    """One running process. `start_ticks` tells it from a later one with the same id."""

    pid: int
    parent: int
    start_ticks: int
    argv: tuple[str, ...] = ()
    cluster: str = ""
    component: str = ""
    """From its environment, which its descendants inherit."""
    netns: int = 0
    """Inode of its network namespace; 0 when it may not be seen."""
    cgroups: str = ""


def snapshot() -> dict[int, Process]:
    """Returns every process that can be seen now, by id; kernel threads and zombies are left out."""
    processes: dict[int, Process] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            process = read_process(int(name))
            if process is not None:
                processes[process.pid] = process
    return processes


def read_process(pid: int) -> Process | None:
    """Reads one process; None when there is no such process, or only its zombie."""
    folder = f"/proc/{pid}"
    try:
        with open(f"{folder}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        if fields[0] in (b"Z", b"X"):
            return None
        with open(f"{folder}/cmdline", "rb") as file:
            argv = file.read().split(b"\0")[:-1]
        with open(f"{folder}/cgroup") as text:
            cgroups = text.read()
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return None
    environment = _environment(folder)
    return Process(
        pid,
        int(fields[1]),
        int(fields[19]),
        tuple(os.fsdecode(argument) for argument in argv),
        environment.get(MARKER, ""),
        environment.get(COMPONENT_MARKER, ""),
        _netns(folder),
        cgroups,
    )


def _start_ticks(pid: int) -> int:
    """Reads when a process started, also a zombie; 0 when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _environment(folder: str) -> dict[str, str]:
    """Returns the two variables that mark a cluster's processes; nothing for a process of another user."""
    variables = {}
    with suppress(OSError):
        with open(f"{folder}/environ", "rb") as file:
            for item in file.read().split(b"\0"):
                if item.startswith(b"MINI_KUBERNETES_"):
                    key, _, value = os.fsdecode(item).partition("=")
                    variables[key] = value
    return variables


def _netns(folder: str) -> int:
    try:
        return os.stat(f"{folder}/ns/net").st_ino
    except OSError:
        return 0


def boot_time() -> float:
    """Returns when the machine started, in Unix seconds."""
    with open("/proc/stat") as file:
        return next(float(line.split()[1]) for line in file if line.startswith("btime"))


def started_at(process: Process) -> float:
    """Returns when the process started, in Unix seconds."""
    return boot_time() + process.start_ticks / os.sysconf("SC_CLK_TCK")


def with_descendants(processes: Mapping[int, Process], roots: Iterable[int]) -> set[int]:
    """Returns the roots and everything that descends from them."""
    children: dict[int, list[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    descendants: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in descendants:
            descendants.add(pid)
            waiting += children.get(pid, ())
    return descendants


def ancestors(processes: Mapping[int, Process], pid: int) -> set[int]:
    """Returns the process itself, its parent, and so on up."""
    chain: set[int] = set()
    while pid in processes and pid not in chain:
        chain.add(pid)
        pid = processes[pid].parent
    return chain


def start_session(argv: Sequence[str], log: Path, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Starts a process in a session of its own, with these variables besides our own; `log` gets its output at the end.

    Raises: OSError.
    """
    environment = {**os.environ, **variables}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with log.open("ab") as output:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=environment,
            start_new_session=True,
        )


def send(process: Process, number: signal.Signals) -> None:
    """Signals exactly this process; nothing happens when it is gone, even if its id was given to another since."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if _start_ticks(process.pid) == process.start_ticks:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def kill_all(choose: Callable[[dict[int, Process]], set[int]]) -> int:
    """Kills what `choose` picks from a snapshot, until it picks nothing; returns how many are left (0, or a stubborn
    few in uninterruptible sleep). The caller and its ancestors are never picked.
    """
    for _ in range(KILL_ROUNDS):
        processes = snapshot()
        doomed = choose(processes) - ancestors(processes, os.getpid())
        if not doomed:
            return 0
        for pid in doomed:
            send(processes[pid], signal.SIGKILL)
        wait_gone([processes[pid] for pid in doomed], KILL_ROUND_SECONDS)
    processes = snapshot()
    return len(choose(processes) - ancestors(processes, os.getpid()))


def wait_gone(processes: Iterable[Process], seconds: float) -> bool:
    """Waits until all of them have ended; False when some are still there after `seconds`.

    The end of a process is that of its last thread: its first one may be a zombie while others still hold its files.
    """
    deadline = time.monotonic() + seconds
    for process in processes:
        try:
            descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:
            continue
        try:
            if _start_ticks(process.pid) != process.start_ticks:
                continue
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return False
        finally:
            os.close(descriptor)
    return True
