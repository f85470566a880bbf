"""Joins the streams of an exec's or attach's process to the channels of a client.

Both directions wait for their reader: a client that does not read stops the process' output at the engine, a process
that does not read stops the client.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from componentbase import logs
from componentbase.net.http1_exchange import ClientDisconnected
from componentbase.net.websocket_channels import RESIZE, STDERR, STDIN, STDOUT
from kubelet.runtime.interface import EngineError, Session, StreamName

MAX_TERMINAL_SIDE = 0xFFFF  # characters; what the kernel's terminal size can hold

_CHANNELS: dict[StreamName, int] = {"stdout": STDOUT, "stderr": STDERR}

Take = Callable[[int, bytes | None], Awaitable[None]]
"""Handles a client's message: (channel, data); None for data means that the client has closed the channel."""

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """The streams that the client asks for in the query."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False

    def error(self) -> str:
        """Says why they cannot be served; "" when they can."""
        if not (self.stdin or self.stdout or self.stderr):
            return "you must specify at least 1 of stdin, stdout, stderr"
        if self.tty and self.stderr:
            return "tty and stderr cannot both be true"
        return ""


class Channels(Protocol):
    """The client's side. Everything raises ClientDisconnected or OSError once the client has left."""

    async def pump(self, take: Take) -> None:
        """Hands on the client's messages until the client leaves."""

    async def send(self, channel: int, data: bytes) -> None:
        """Waits while the client does not read."""

    async def finish(self, status: dict[str, Any]) -> None:
        """Tells the client how the process has ended."""


def success_status() -> dict[str, Any]:
    return {"metadata": {}, "status": "Success"}


def exit_status(code: int) -> dict[str, Any]:
    """Makes the last message about a command; clients take the exit code from its cause."""
    if code == 0:
        return success_status()
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: command terminated with exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failure_status(message: str) -> dict[str, Any]:
    return {"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError", "code": 500}


def parse_size(data: bytes) -> tuple[int, int] | None:
    """Reads (width, height) from a resize message; None for a malformed one."""
    try:
        document = json.loads(data)
        width, height = int(document["Width"]), int(document["Height"])
    except (ValueError, KeyError, TypeError):
        return None
    return (width, height) if 0 < width <= MAX_TERMINAL_SIDE and 0 < height <= MAX_TERMINAL_SIDE else None


class RemoteCommand:
    """One exec or attach. `run` ends with the process' streams, or when the client has left."""

    def __init__(self, channels: Channels, session: Session, options: StreamOptions) -> None:
        self._channels = channels
        self._session = session
        self._options = options

    async def run(self) -> None:
        """Closes the session in any case."""
        try:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._channels.pump(self._take))
                status = await self._give_output()
                reader.cancel()
            await self._channels.finish(status)
        except* ClientDisconnected:
            log.debug("client of an exec or attach left")
        except* OSError:
            log.debug("connection of an exec or attach broke")
        finally:
            await self._session.close()

    async def _give_output(self) -> dict[str, Any]:
        """Passes on output until its end, and returns the status to end with."""
        passed_on = {"stdout": self._options.stdout, "stderr": self._options.stderr}
        try:
            async for stream, data in self._session.output():
                if passed_on[stream]:
                    await self._channels.send(_CHANNELS[stream], data)
            code = await self._session.exit_code()
        except EngineError as error:
            return failure_status(str(error))
        return success_status() if code is None else exit_status(code)

    async def _take(self, channel: int, data: bytes | None) -> None:
        if channel == STDIN and self._options.stdin:
            await (self._session.close_stdin() if data is None else self._session.write(data))
        elif channel == RESIZE and self._options.tty and data and (size := parse_size(data)):
            await self._session.resize(*size)
