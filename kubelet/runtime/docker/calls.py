"""The runtime's calls that wait or stream: logs, exec, attach, events, pulls, the end of a container.

They hold no thread: everything here goes over `docker_streams`. `docker.DockerRuntime` adds the short calls.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal as signals
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from componentbase import logs as component_logs
from kubelet.runtime.docker import names, netns
from kubelet.runtime.docker.parsing import container_stats, is_engine_trouble, runtime_event
from kubelet.runtime.docker.streams import EngineStreams, HijackedSession, as_stdout, demultiplex
from kubelet.runtime.image_reference import Reference, parse_reference, short_name
from kubelet.runtime.interface import (
    OUTPUT_LIMIT,
    ContainerStats,
    EngineError,
    EventType,
    ImagePullError,
    LogOptions,
    NotFound,
    RegistryAuth,
    RuntimeEvent,
    RuntimeUnavailable,
    SandboxStatus,
)

EVENT_TYPES: tuple[EventType, ...] = ("start", "die", "oom", "destroy")
KILL_WAIT_SECONDS = 30.0  # for a container to be gone after SIGKILL
EXEC_END_POLLS = 50  # times, 20 ms apart: the streams of an exec end a little before its exit code is known
EXEC_END_SECONDS = 0.02
CANNOT_EXECUTE = 126  # exit code the engine gives a command that it could not start
PARALLEL_STATS = 4  # requests; the rest wait

log = component_logs.logger(__name__)


class StreamingCalls:
    """Half of a Runtime."""

    def __init__(self, streams: EngineStreams) -> None:
        self._streams = streams
        self._stats_slots = asyncio.Semaphore(PARALLEL_STATS)

    # --- the end of a container

    async def kill_container(self, container_id: str, signal: str = "SIGKILL") -> None:
        try:
            await self._streams.json("POST", f"/containers/{container_id}/kill", {"signal": signal})
        except (NotFound, RuntimeUnavailable):
            raise
        except EngineError as error:
            if "is not running" not in str(error):
                raise

    async def stop_container(self, container_id: str, grace_seconds: float, signal: str = "") -> None:
        try:
            if grace_seconds > 0:
                await self.kill_container(container_id, signal or await self._stop_signal(container_id))
                with contextlib.suppress(TimeoutError):
                    await self._wait_exit(container_id, grace_seconds)
                    return
            await self.kill_container(container_id)
            await self._wait_exit(container_id, KILL_WAIT_SECONDS)
        except NotFound:
            return
        except TimeoutError:
            raise EngineError(f"container {container_id} is still running after SIGKILL") from None

    async def _stop_signal(self, container_id: str) -> str:
        details = await self._streams.json("GET", f"/containers/{container_id}/json")
        return str(details["Config"].get("StopSignal") or "SIGTERM")

    async def _wait_exit(self, container_id: str, seconds: float) -> None:
        """Raises: TimeoutError."""
        async with asyncio.timeout(seconds):
            await self._streams.json("POST", f"/containers/{container_id}/wait", {"condition": "not-running"})

    # --- exec and attach

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
        body = {"AttachStdin": stdin, "AttachStdout": stdout, "AttachStderr": stderr and not tty}
        session, _ = await self._exec(container_id, {**body, "Tty": tty, "Cmd": list(argv)})
        return session

    async def _exec(self, container_id: str, body: Mapping[str, Any]) -> tuple[HijackedSession, str]:
        try:
            created = await self._streams.json("POST", f"/containers/{container_id}/exec", body=body)
        except EngineError as error:
            if "is not running" in str(error) or "is paused" in str(error):
                raise NotFound(str(error)) from None
            raise
        exec_id = created["Id"]
        tty = bool(body["Tty"])
        answer = await self._streams.open(
            "POST", f"/exec/{exec_id}/start", body={"Detach": False, "Tty": tty}, upgrade=True
        )

        async def resize(width: int, height: int) -> None:
            await self._resize(f"/exec/{exec_id}/resize", width, height)

        async def exit_code() -> int | None:
            return await self._exec_exit_code(exec_id)

        return HijackedSession(answer, tty=tty, resize=resize, exit_code=exit_code), exec_id

    async def _exec_exit_code(self, exec_id: str) -> int:
        for _ in range(EXEC_END_POLLS):
            details = await self._streams.json("GET", f"/exec/{exec_id}/json")
            if not details["Running"] and details["ExitCode"] is not None:
                return int(details["ExitCode"])
            await asyncio.sleep(EXEC_END_SECONDS)
        raise EngineError("the command closed its streams and goes on")

    async def _resize(self, path: str, width: int, height: int) -> None:
        """A process that has just ended has no terminal left: nothing to do."""
        with contextlib.suppress(NotFound, EngineError):
            await self._streams.json("POST", path, {"w": str(width), "h": str(height)})

    async def exec_sync(
        self, container_id: str, argv: Sequence[str], timeout_seconds: float = 0.0
    ) -> tuple[int, bytes, bytes]:
        body = {"AttachStdout": True, "AttachStderr": True, "Tty": False, "Cmd": list(argv)}
        output = {"stdout": bytearray(), "stderr": bytearray()}
        session, exec_id = await self._exec(container_id, body)
        try:
            async with asyncio.timeout(timeout_seconds or None):
                async for stream, data in session.output():
                    kept = output[stream]
                    kept += data[: OUTPUT_LIMIT - len(kept)]
                code = await self._exec_exit_code(exec_id)
        except TimeoutError:
            await self._kill_exec(container_id, exec_id)
            raise TimeoutError(f"command {' '.join(argv)!r} timed out after {timeout_seconds:g}s") from None
        finally:
            await session.close()
        if code == CANNOT_EXECUTE and is_engine_trouble(output["stdout"].decode(errors="replace")):
            raise RuntimeUnavailable("the container runtime cannot run commands now")
        return code, bytes(output["stdout"]), bytes(output["stderr"])

    async def _kill_exec(self, container_id: str, exec_id: str) -> None:
        """The engine cannot end an exec'd process; we can where we share its process namespace, as the cgroup shows."""
        details = await self._streams.json("GET", f"/exec/{exec_id}/json")
        pid = int(details.get("Pid") or 0)
        if not details["Running"] or not pid:
            return
        if not _kill_member(container_id, pid):
            log.warning("a timed out command goes on in its container", container=container_id, pid=pid)

    async def attach(
        self, container_id: str, *, stdin: bool, stdout: bool = True, stderr: bool = True
    ) -> HijackedSession:
        details = await self._streams.json("GET", f"/containers/{container_id}/json")
        if not details["State"]["Running"]:
            raise NotFound(f"container {container_id} is not running")
        wanted = {"stream": "1", "stdin": _flag(stdin), "stdout": _flag(stdout), "stderr": _flag(stderr)}
        answer = await self._streams.open("POST", f"/containers/{container_id}/attach", wanted, upgrade=True)

        async def resize(width: int, height: int) -> None:
            await self._resize(f"/containers/{container_id}/resize", width, height)

        async def exit_code() -> int | None:
            return None

        # Without StdinOnce the container keeps its input: to end ours would only have the engine end its output to us.
        config = details["Config"]
        return HijackedSession(
            answer, tty=bool(config["Tty"]), resize=resize, exit_code=exit_code, ends_stdin=bool(config["StdinOnce"])
        )

    async def connect(self, sandbox: SandboxStatus, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        state = (await self._streams.json("GET", f"/containers/{sandbox.id}/json"))["State"]
        if not state["Running"]:
            raise NotFound(f"sandbox {sandbox.id} is not running")
        if netns.is_visible(sandbox.id, int(state["Pid"])):
            return await netns.connect(int(state["Pid"]), port)
        if not sandbox.ips:
            raise EngineError("the pod has no address of its own, and its network namespace is out of reach")
        return await netns.connect_to(sandbox.ips[0], port)

    # --- logs

    async def logs(self, container_id: str, options: LogOptions) -> AsyncGenerator[bytes, None]:
        details = await self._streams.json("GET", f"/containers/{container_id}/json")
        answer = await self._streams.open("GET", f"/containers/{container_id}/logs", log_query(options))
        split = as_stdout if details["Config"]["Tty"] else demultiplex
        try:
            async for _, data in split(answer.chunks()):
                yield data
        finally:
            await answer.close()

    # --- events, stats

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        filters = {"type": ["container"], "event": list(EVENT_TYPES), "label": [names.TYPE]}
        return self._read_events(await self._streams.json_lines("GET", "/events", {"filters": json.dumps(filters)}))

    async def _read_events(self, documents: AsyncIterator[Any]) -> AsyncIterator[RuntimeEvent]:
        async for document in documents:
            event = runtime_event(document)
            if event is not None:
                self._on_event(event)
                yield event
        raise RuntimeUnavailable("the container runtime ended the event stream")

    def _on_event(self, event: RuntimeEvent) -> None:
        """Hook for what is remembered of containers."""

    async def stats(self, container_ids: Collection[str]) -> Sequence[ContainerStats]:
        found = await asyncio.gather(*(self._one_stats(container_id) for container_id in container_ids))
        return [stats for stats in found if stats is not None]

    async def _one_stats(self, container_id: str) -> ContainerStats | None:
        async with self._stats_slots:
            try:
                document = await self._streams.json(
                    "GET", f"/containers/{container_id}/stats", {"stream": "false", "one-shot": "true"}
                )
                details = await self._streams.json("GET", f"/containers/{container_id}/json")
            except NotFound:
                return None
        if not details["State"]["Running"]:
            return None
        labels = details["Config"]["Labels"]
        is_sandbox = labels.get(names.TYPE) == names.SANDBOX_TYPE
        name = "" if is_sandbox else labels.get(names.CONTAINER_NAME, "")
        return container_stats(document, container_id, names.pod_of(labels), name, time.time())

    # --- pulls

    async def _pull(self, reference: str, auth: RegistryAuth | None) -> None:
        """Raises: ImagePullError."""
        parsed = parse_reference(reference)
        headers = {"X-Registry-Auth": _auth_header(auth)} if auth else {}
        try:
            lines = await self._streams.json_lines("POST", "/images/create", _pull_query(parsed), headers=headers)
            async for line in lines:
                if line.get("error"):
                    raise ImagePullError(_pull_message(reference, str(line["error"])))
        except (ImagePullError, RuntimeUnavailable):
            raise
        except EngineError as error:
            raise ImagePullError(_pull_message(reference, str(error))) from None


def _kill_member(container_id: str, pid: int) -> bool:
    """Whether `pid` is a process of the container, as its cgroup tells, and was killed."""
    if not netns.is_visible(container_id, pid):
        return False
    try:
        os.kill(pid, signals.SIGKILL)
    except OSError:
        return False
    return True


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


def _pull_query(reference: Reference) -> dict[str, str]:
    """A digest wins over a tag."""
    return {"fromImage": short_name(reference.repository), "tag": reference.digest or reference.tag}


def _pull_message(reference: str, message: str) -> str:
    return f'failed to pull image "{reference}": {message}'


def _auth_header(auth: RegistryAuth) -> str:
    fields = {
        "username": auth.username,
        "password": auth.password,
        "identitytoken": auth.identity_token,
        "serveraddress": auth.server,
    }
    return base64.urlsafe_b64encode(
        json.dumps({key: value for key, value in fields.items() if value}).encode()
    ).decode()
