"""Starts our daemons as forks of a process that has imported them already: an import costs more than all of a start.

A nursery is such a process; `Fork` stands for a daemon as `subprocess.Popen` would.
A nursery ends with the tests, and its daemons with it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import IO, NoReturn

PRELOADED = {
    "apiserver": "import apiserver.main.server",
    "controller_manager": "from controller_manager.options import CONTROLLERS as folder; "
    "from kubeclient.manager import collect_controllers; collect_controllers(folder)",
    "scheduler": "import scheduler.__main__",
}
"""What is done before the fork, by package: the daemon imports no more when it starts."""

MAX_MESSAGE_BYTES = 65536
READ_BY_OTHERS_SECONDS = 0.1  # another thread may have read the message that this one waits for


class Nursery:
    """The tests' side of one nursery."""

    def __init__(self, package: str) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # By its file, as the folder that packages are imported from may have no tests.
        start = f"import runpy; runpy.run_path({__file__!r}, run_name='__main__')"
        command = [sys.executable, "-c", start, package, str(theirs.fileno())]
        subprocess.Popen(command, pass_fds=(theirs.fileno(),), start_new_session=True)
        theirs.close()
        self._lock = threading.Lock()
        self._codes: dict[int, int] = {}

    def fork(self, arguments: Sequence[str], output: IO[bytes], environment: Mapping[str, str]) -> int:
        """Starts a daemon; returns its process id."""
        order = json.dumps([list(arguments), dict(environment)]).encode()
        with self._lock:
            socket.send_fds(self._control, [order], [output.fileno()])
            while True:
                pid, code = json.loads(self._control.recv(MAX_MESSAGE_BYTES))
                if code is None:
                    self._codes.pop(pid, None)  # of an earlier daemon with this id, as numbers come round
                    return int(pid)
                self._codes[pid] = code

    def code(self, pid: int) -> int | None:
        """Returns the exit code of a daemon that has ended, -N after a signal N."""
        with self._lock, contextlib.suppress(BlockingIOError):
            while pid not in self._codes:
                ended, code = json.loads(self._control.recv(MAX_MESSAGE_BYTES, socket.MSG_DONTWAIT))
                self._codes[ended] = code
        return self._codes.get(pid)

    def await_message(self, seconds: float) -> None:
        """Waits for a message of the nursery, but no longer than this."""
        select.select([self._control], [], [], seconds)


@lru_cache
def nursery(package: str, python_path: str, folder: str) -> Nursery:
    """The nursery of a package as it is imported with this PYTHONPATH, in this folder, which are this process' own."""
    return Nursery(package)


class Fork:
    """A daemon that a nursery has forked, with the part of `subprocess.Popen` that tests use."""

    def __init__(
        self, package: str, arguments: Sequence[str], output: IO[bytes], environment: Mapping[str, str]
    ) -> None:
        self.args = [package, *arguments]
        self.returncode: int | None = None
        self._nursery = nursery(package, os.environ.get("PYTHONPATH", ""), os.getcwd())
        self.pid = self._nursery.fork(arguments, output, environment)

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self._nursery.code(self.pid)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = time.monotonic() + timeout if timeout is not None else float("inf")
        while (code := self.poll()) is None:
            left = deadline - time.monotonic()
            if left < 0:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self._nursery.await_message(min(left, READ_BY_OTHERS_SECONDS))
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def main(package: str, control: socket.socket) -> None:
    """Takes orders until the tests are over, and tells of the ends of its children."""
    exec(PRELOADED[package])
    gc.freeze()
    children: set[int] = set()
    signal.signal(signal.SIGCHLD, lambda *_: _tell_ends(control, children))
    while True:
        order, (output, *_), *_ = _received(control)
        if not order:
            for child in children:
                os.kill(child, signal.SIGKILL)
            return
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])  # the birth is told before the death
        pid = os.fork()
        if pid == 0:
            control.close()
            arguments, environment = json.loads(order)
            _become(package, arguments, environment, output)
        os.close(output)
        children.add(pid)
        control.send(json.dumps([pid, None]).encode())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])


def _received(control: socket.socket) -> tuple[bytes, list[int], int, object]:
    message, files, flags, address = socket.recv_fds(control, MAX_MESSAGE_BYTES, 1)
    return message, files or [-1], flags, address


def _tell_ends(control: socket.socket, children: set[int]) -> None:
    for child in list(children):
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            children.discard(pid)
            with contextlib.suppress(OSError):
                control.send(json.dumps([pid, os.waitstatus_to_exitcode(status)]).encode())


def _become(package: str, arguments: list[str], environment: dict[str, str], output: int) -> NoReturn:
    """Turns the fork into the daemon, as `python -m PACKAGE` would."""
    code = 1
    try:
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        null = os.open(os.devnull, os.O_RDONLY)
        for file, place in ((null, 0), (output, 1), (output, 2)):
            os.dup2(file, place)
        os.closerange(3, output + null)
        os.environ.clear()
        os.environ.update(environment)
        faulthandler.enable()
        sys.argv = [package, *arguments]
        runpy.run_module(package, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
