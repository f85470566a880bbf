"""Sessions with containers that run: exec, attach, their logs, and connections to their ports."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from componentbase import logs as component_logs
from componentbase.host.inotify import FolderWatcher
from componentbase.tasks import alongside, first_of
from kubelet.runtime.docker import netns
from kubelet.runtime.docker.client import EngineClient, EngineStream
from kubelet.runtime.docker.logfiles import LogReader
from kubelet.runtime.docker.parsing import is_engine_trouble
from kubelet.runtime.interface import (
    OUTPUT_LIMIT,
    EngineError,
    EngineNotFound,
    LogOptions,
    RuntimeUnavailable,
    SandboxStatus,
    StreamName,
)

EXEC_END_POLLS = 50  # times, 20 ms apart: the streams of an exec end a little before its exit code is known
EXEC_END_SECONDS = 0.02
ATTACH_END_SECONDS = 1.0  # an attach has had all output by then, or came too late: the engine then awaits a next start
CANNOT_EXECUTE = 126  # exit code the engine gives a command that it could not start

_STREAMS: Mapping[int, StreamName] = {0: "stdout", 1: "stdout", 2: "stderr"}

log = component_logs.logger(__name__)


class Sessions:
    """The part of `interface.Runtime` that talks with processes."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._folders = FolderWatcher()

    # --- exec

    async def exec_stream(
        self,
        container_id: str,
        argv: Sequence[str],
        *,
        tty: bool,
        stdin: bool,
        stdout: bool = True,
        stderr: bool = True,
    ) -> HijackedSession:
        session, _ = await self._exec(
            container_id, argv, tty=tty, stdin=stdin, stdout=stdout, stderr=stderr and not tty
        )
        return session

    async def exec_sync(
        self, container_id: str, argv: Sequence[str], timeout_seconds: float = 0.0
    ) -> tuple[int, bytes, bytes]:
        output = {"stdout": bytearray(), "stderr": bytearray()}
        session, exec_id = await self._exec(container_id, argv)
        try:
            async with asyncio.timeout(timeout_seconds or None):
                async for stream, data in session.output():
                    output[stream] += data[: OUTPUT_LIMIT - len(output[stream])]
                code = await self._exec_exit_code(exec_id)
        except TimeoutError:
            await self._kill_exec(container_id, exec_id)
            raise TimeoutError(f"command {' '.join(argv)!r} timed out after {timeout_seconds:g}s") from None
        finally:
            await session.close()
        if code == CANNOT_EXECUTE and is_engine_trouble(output["stdout"].decode(errors="replace")):
            raise RuntimeUnavailable("the container runtime cannot run commands now")
        return code, bytes(output["stdout"]), bytes(output["stderr"])

    async def _exec(
        self,
        container_id: str,
        argv: Sequence[str],
        *,
        tty: bool = False,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
    ) -> tuple[HijackedSession, str]:
        sdk = self._client.sdk
        try:
            created = await self._client.call(
                sdk.exec_create, container_id, list(argv), stdin=stdin, stdout=stdout, stderr=stderr, tty=tty
            )
        except EngineError as error:
            if "is not running" in str(error) or "is paused" in str(error):
                raise EngineNotFound(str(error)) from None
            raise
        exec_id = str(created["Id"])
        body = {"Detach": False, "Tty": tty}
        stream = await self._client.open("POST", f"/exec/{exec_id}/start", body=body, upgrade=True)

        async def resize(width: int, height: int) -> None:
            await self._client.call(sdk.exec_resize, exec_id, height=height, width=width)

        async def exit_code() -> int | None:
            return await self._exec_exit_code(exec_id)

        return HijackedSession(stream, tty=tty, resize=resize, exit_code=exit_code), exec_id

    async def _exec_exit_code(self, exec_id: str) -> int:
        for _ in range(EXEC_END_POLLS):
            details = await self._client.call(self._client.sdk.exec_inspect, exec_id)
            if not details["Running"] and details["ExitCode"] is not None:
                return int(details["ExitCode"])
            await asyncio.sleep(EXEC_END_SECONDS)
        raise EngineError("the command closed its streams and goes on")

    async def _kill_exec(self, container_id: str, exec_id: str) -> None:
        """The engine cannot end an exec'd process; we can where we share its process namespace, as the cgroup shows."""
        details = await self._client.call(self._client.sdk.exec_inspect, exec_id)
        pid = int(details.get("Pid") or 0)
        if not details["Running"] or not pid:
            return
        try:
            if netns.is_visible(container_id, pid):
                os.kill(pid, signal.SIGKILL)
                return
        except OSError as error:
            log.debug("process not killed", pid=pid, error=str(error))
        log.warning("a timed out command goes on in its container", container=container_id, pid=pid)

    # --- attach, ports

    async def attach(
        self, container_id: str, *, stdin: bool, stdout: bool = True, stderr: bool = True
    ) -> HijackedSession:
        sdk = self._client.sdk
        details = await self._client.call(sdk.inspect_container, container_id)
        if not details["State"]["Running"]:
            raise EngineNotFound(f"container {container_id} is not running")
        params = {"stream": "1", "stdin": _flag(stdin), "stdout": _flag(stdout), "stderr": _flag(stderr)}
        stream = await self._client.open("POST", f"/containers/{container_id}/attach", params=params, upgrade=True)

        async def resize(width: int, height: int) -> None:
            await self._client.call(sdk.resize, container_id, height=height, width=width)

        async def exit_code() -> int | None:
            return None

        # Without StdinOnce the container keeps its input: to end ours would only have the engine end its output to us.
        config = details["Config"]
        return HijackedSession(
            stream,
            tty=bool(config["Tty"]),
            resize=resize,
            exit_code=exit_code,
            ends_stdin=bool(config["StdinOnce"]),
            container_end=lambda: self.wait_container(container_id),
        )

    async def connect(self, sandbox: SandboxStatus, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        state = (await self._client.call(self._client.sdk.inspect_container, sandbox.id))["State"]
        if not state["Running"]:
            raise EngineNotFound(f"sandbox {sandbox.id} is not running")
        if pid := await asyncio.to_thread(netns.own_pid, sandbox.id, int(state["Pid"])):
            return await netns.connect(pid, port)
        if not sandbox.ips:
            raise EngineError("the pod has no address of its own, and its network namespace is out of reach")
        return await netns.connect_to(sandbox.ips[0], port)

    # --- the container's end, logs

    async def wait_container(self, container_id: str) -> None:
        """Waits for the answer's body, which comes at the container's end; its head comes at once."""
        path, params = f"/containers/{container_id}/wait", {"condition": "not-running"}
        try:
            stream = await self._client.open("POST", path, params=params)
        except EngineNotFound:
            return
        try:
            async for _ in stream.chunks():
                continue
        finally:
            await stream.close()

    async def logs(self, container_id: str, options: LogOptions) -> AsyncGenerator[bytes, None]:
        """Reads the engine's files where they are in sight, and asks the engine for their content elsewhere."""
        details = await self._client.call(self._client.sdk.inspect_container, container_id)
        path = details["LogPath"]  # "" with a log driver that writes no files
        if path and await asyncio.to_thread(os.path.exists, path):
            chunks = self._log_of_files(container_id, Path(path), options)
        else:
            chunks = engine_log(self._client, container_id, options, tty=bool(details["Config"]["Tty"]))
        async with contextlib.aclosing(chunks):
            async for data in chunks:
                yield data

    async def _log_of_files(self, container_id: str, path: Path, options: LogOptions) -> AsyncGenerator[bytes, None]:
        with contextlib.ExitStack() as stack:
            try:
                reader = await asyncio.to_thread(LogReader, path, options)
                stack.enter_context(contextlib.closing(reader))
                changed = stack.enter_context(self._folders.watching(path.parent))
            except OSError as error:
                raise EngineError(f"cannot read the log of container {container_id}: {error}") from None
            if not options.follow:
                async for data in _unread(reader):
                    yield data
                return
            async with alongside(self.wait_container(container_id)) as end:
                ended = False
                while not ended:
                    ended = end.done()  # before the look at the files, which then have all
                    changed.clear()
                    async for data in _unread(reader):
                        yield data
                    if not ended:
                        await first_of(changed.wait(), asyncio.wait((end,)))
                end.result()


async def engine_log(
    client: EngineClient, container_id: str, options: LogOptions, *, tty: bool
) -> AsyncGenerator[bytes, None]:
    """Yields a log as the engine's own reader has it. Raises: EngineNotFound; RuntimeUnavailable."""
    stream = await client.open("GET", f"/containers/{container_id}/logs", params=log_query(options))
    split = as_stdout if tty else demultiplex
    try:
        async for _, data in split(stream.chunks()):
            yield data
    finally:
        await stream.close()


async def _unread(reader: LogReader) -> AsyncIterator[bytes]:
    while (data := await asyncio.to_thread(reader.read)) is not None:
        if data:
            yield data


class HijackedSession:
    """Implements `interface.Session`: behind its head, the connection carries the streams of a process."""

    def __init__(
        self,
        stream: EngineStream,
        *,
        tty: bool,
        resize: Callable[[int, int], Awaitable[None]],
        exit_code: Callable[[], Awaitable[int | None]],
        ends_stdin: bool = True,
        container_end: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """With `container_end`, the streams end with the container at the latest."""
        self._stream = stream
        self._container_end = container_end
        self._ends_stdin = ends_stdin
        self._tty = tty
        self._resize = resize
        self._exit_code = exit_code

    async def write(self, data: bytes) -> None:
        await self._stream.write(data)

    async def close_stdin(self) -> None:
        if self._ends_stdin:
            await self._stream.write_eof()

    async def output(self) -> AsyncIterator[tuple[StreamName, bytes]]:
        split = as_stdout if self._tty else demultiplex
        async with alongside(self._end_with_container()):
            async for item in split(self._stream.chunks()):
                yield item

    async def _end_with_container(self) -> None:
        if self._container_end is None:
            return
        with contextlib.suppress(EngineError):  # the streams break, too, and tell
            await self._container_end()
            await asyncio.sleep(ATTACH_END_SECONDS)
            await self._stream.close()

    async def resize(self, width: int, height: int) -> None:
        """A process that has just ended has no terminal left to resize, which is not an error."""
        with contextlib.suppress(EngineError):
            await self._resize(width, height)

    async def exit_code(self) -> int | None:
        return await self._exit_code()

    async def close(self) -> None:
        await self._stream.close()


async def demultiplex(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[StreamName, bytes]]:
    """Splits the engine's frames (stream, three zeros, length, data) of containers without a tty."""
    buffer = bytearray()
    async for data in chunks:
        buffer += data
        while len(buffer) >= 8:
            size = int.from_bytes(buffer[4:8], "big")
            if len(buffer) < 8 + size:
                break
            yield _STREAMS.get(buffer[0], "stderr"), bytes(buffer[8 : 8 + size])
            del buffer[: 8 + size]


async def as_stdout(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[StreamName, bytes]]:
    """Takes the output of a tty, which has one stream and no frames."""
    async for data in chunks:
        yield "stdout", data


def log_query(options: LogOptions) -> dict[str, str]:
    """The query of the engine's log endpoint."""
    query = {
        "follow": _flag(options.follow),
        "stdout": _flag(options.stream in ("", "stdout")),
        "stderr": _flag(options.stream in ("", "stderr")),
        "timestamps": _flag(options.timestamps),
        "tail": "all" if options.tail_lines is None else str(options.tail_lines),
    }
    return query | ({"since": f"{options.since:.9f}"} if options.since > 0 else {})


def _flag(value: bool) -> str:
    return "1" if value else "0"
