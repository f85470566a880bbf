"""Runs HAProxy and keeps it at what is wanted, without dropping a request.

A proxy of the same shape is told of maps and servers over its socket. For another shape the master starts new workers
on the same listening sockets; it says by the protocol of systemd (NOTIFY_SOCKET) when they serve.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from componentbase import logs
from componentbase.daemon import FatalError
from componentbase.host import process
from componentbase.host.privatefiles import write_private
from componentbase.tasks import wait_for
from ingress.configuration import CONFIGURATION, RUNTIME_SOCKET, Rendered

START_SECONDS, ANSWER_SECONDS, STOP_SECONDS = 30.0, 10.0, 5.0
MOST_RETIRED = 200
"""Servers that were taken out but have connections, as of WebSockets; with more, new workers begin without them."""
BATCH_BYTES = 8_000
"""The most bytes of a command that adds lines to a map. It has to fit the proxy's buffer."""

log = logs.logger(__name__)


class ProxyError(Exception):
    """Says what the proxy did not do."""


class Proxy:
    """`await apply(wanted)`, as often as wanted; `await run()` beside it."""

    def __init__(self, folder: Path, program: str = "haproxy") -> None:
        self._folder, self._program = folder, program
        self._process: asyncio.subprocess.Process | None = None
        self._started = asyncio.Event()
        self._ready = asyncio.Event()
        self._current: Rendered | None = None
        self._retired: dict[str, set[str]] = {}
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.reloads = 0

    async def run(self) -> None:
        """Waits, once `apply` has started the proxy, for its end. Raises: FatalError: nobody expects it to end.

        Cancelled, it lets the proxy end the requests that it has, for some seconds.
        """
        try:
            await self._started.wait()
            assert self._process is not None
            raise FatalError(f"{self._program} ended with exit code {await self._process.wait()}: see its log")
        finally:
            await self._stop()

    async def apply(self, wanted: Rendered) -> None:
        """Has the proxy do what is wanted. Raises: ProxyError, and goes on with what it did."""
        current = self._current
        if current is not None and current.files == wanted.files:
            return
        if current is None or current.shape != wanted.shape or self._too_many_retired():
            self._write(wanted)
            await self._check()
            await (self._start() if self._process is None else self._reload())
            self._retired = {}
        else:
            self._current = None  # half told, it needs new workers
            await self._tell_maps(current.maps, wanted.maps)
            for backend, servers in wanted.servers.items():
                await self._tell_servers(backend, current.servers.get(backend, {}), servers)
            self._write(wanted)  # for workers that start after a crash
        self._current = wanted

    def _too_many_retired(self) -> bool:
        return sum(map(len, self._retired.values())) > MOST_RETIRED

    # --- files and workers ---

    def _write(self, wanted: Rendered) -> None:
        (self._folder / "certificates").mkdir(parents=True, exist_ok=True, mode=0o700)
        before = self._current.files if self._current is not None else {}
        for name, text in wanted.files.items():
            if before.get(name) != text:
                write_private(self._folder / name, text.encode())
        for file in (self._folder / "certificates").iterdir():
            if f"certificates/{file.name}" not in wanted.files:
                file.unlink()

    async def _check(self) -> None:
        try:
            await process.run(self._program, "-c", "-q", "-f", str(self._folder / CONFIGURATION))
        except process.CommandError as error:
            raise ProxyError(str(error)) from None

    async def _start(self) -> None:
        path = self._folder / "notify.sock"
        path.unlink(missing_ok=True)
        self._notices.bind(str(path))
        asyncio.get_running_loop().add_reader(self._notices, self._on_notice)
        # It does not outlive us: a proxy that nobody tells of changes would send requests to pods that are gone.
        command = ["setpriv", "--pdeathsig", "TERM", self._program, "-Ws", "-f", str(self._folder / CONFIGURATION)]
        environment = {**os.environ, "NOTIFY_SOCKET": str(path)}
        try:
            self._process = await asyncio.create_subprocess_exec(*command, env=environment)
        except OSError as error:
            raise FatalError(f"{command[0]} can't be run: {error}") from None
        ended = asyncio.ensure_future(self._process.wait())
        ready = asyncio.ensure_future(self._ready.wait())
        try:
            await asyncio.wait({ended, ready}, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                raise FatalError(f"{self._program} did not start: is one of its ports in use?")
        finally:
            ended.cancel()
            ready.cancel()
        self._started.set()
        log.info("proxy started", pid=self._process.pid)

    async def _reload(self) -> None:
        assert self._process is not None
        before = await self._worker()
        self._ready.clear()
        self._process.send_signal(signal.SIGUSR2)
        if not await wait_for(self._ready, START_SECONDS):
            raise ProxyError("its new workers did not start in time")
        if await self._worker() == before:
            raise ProxyError("its new workers did not start: see its log")
        self.reloads += 1
        log.info("proxy started new workers", reloads=self.reloads)

    def _on_notice(self) -> None:
        with suppress(BlockingIOError):
            while notice := self._notices.recv(4096):
                if b"READY=1" in notice.splitlines():
                    self._ready.set()

    async def _worker(self) -> str:
        """Returns the process id of the workers that serve."""
        lines = (await self._ask("show info")).splitlines()
        return next((line for line in lines if line.startswith("Pid:")), "")

    async def _stop(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._notices)
        self._notices.close()
        running = self._process
        if running is None or running.returncode is not None:
            return
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGKILL):
            running.send_signal(number)
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await running.wait()
                    return

    # --- what a running proxy is told ---

    async def _tell_maps(self, before: Mapping[str, Mapping[str, str]], after: Mapping[str, Mapping[str, str]]) -> None:
        for name, entries in after.items():
            if entries == before.get(name):
                continue
            path = self._folder / name
            answer = await self._ask(f"prepare map {path}")
            version = answer.rpartition(":")[2].strip()
            if not version.isdigit():
                raise ProxyError(f"prepare map {path}: {answer.strip()}")
            for lines in batches(entries):
                await self._command(f"add map @{version} {path} <<\n{lines}")
            await self._command(f"commit map @{version} {path}")

    async def _tell_servers(self, backend: str, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        retired = self._retired.setdefault(backend, set())
        for server, rest in after.items():
            if server not in before:
                name = f"{backend}/{server}"
                if server not in retired:
                    await self._command(f"add server {name} {rest}", "New server registered.")
                retired.discard(server)
                await self._command(f"enable server {name}")
        for server in before:
            if server not in after:
                await self._command(f"set server {backend}/{server} state maint")
                retired.add(server)
        for server in sorted(retired):
            # Refused while it has connections: it is tried again at the next change.
            if "Server deleted." in await self._ask(f"del server {backend}/{server}"):
                retired.discard(server)

    async def _command(self, command: str, expected: str = "") -> None:
        answer = (await self._ask(command)).strip()
        if answer != expected:
            raise ProxyError(f"{command.partition('<<')[0]}: {answer or 'no answer'}")

    async def _ask(self, command: str) -> str:
        """Raises: ProxyError."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_unix_connection(str(self._folder / RUNTIME_SOCKET))
                try:
                    writer.write(f"{command}\n".encode())
                    return (await reader.read(-1)).decode(errors="replace")
                finally:
                    writer.close()
        except (OSError, TimeoutError) as error:
            raise ProxyError(f"{command.partition('<<')[0]}: {error or 'no answer in time'}") from None


def batches(entries: Mapping[str, str]) -> Iterator[str]:
    """Yields the lines of a map, as many at a time as one command takes; each text ends with an empty line."""
    lines: list[str] = []
    size = 0
    for key, value in entries.items():
        line = f"{key} {value}\n"
        if lines and size + len(line) > BATCH_BYTES:
            yield "".join(lines)
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield "".join(lines)
