"""Exec and attach over a WebSocket: Kubernetes' channel protocols v5.channel.k8s.io and v4.channel.k8s.io.

The first byte of each message names its channel. Both directions wait for their reader: a client that does not read
stops the process' output at the engine, a process that does not read stops the client.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from componentbase import logs
from kubelet.runtime.interface import EngineError, Session, StreamName

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
CLOSE = 255  # v5: the next byte names a channel that the client has closed
V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
PROTOCOLS = (V5, V4)  # the best first
MAX_TERMINAL_SIDE = 0xFFFF  # characters; what the kernel's terminal size can hold

NORMAL_CLOSURE = 1000

_CHANNELS: dict[StreamName, int] = {"stdout": STDOUT, "stderr": STDERR}

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """Which streams the client wants, from the request's query."""

    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False

    def error(self) -> str:
        """Why they cannot be served; "" when they can."""
        if not (self.stdin or self.stdout or self.stderr):
            return "you must specify at least 1 of stdin, stdout, stderr"
        if self.tty and self.stderr:
            return "tty and stderr cannot both be true"
        return ""


def choose_protocol(offered: Sequence[str]) -> str:
    """The best protocol that the client speaks too; "" when there is none."""
    return next((protocol for protocol in PROTOCOLS if protocol in offered), "")


def success_status() -> dict[str, Any]:
    return {"metadata": {}, "status": "Success"}


def exit_status(code: int) -> dict[str, Any]:
    """The last message about a command: clients take the exit code from its cause."""
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
    """(width, height) of a resize message; None for one that makes no sense."""
    try:
        document = json.loads(data)
        width, height = int(document["Width"]), int(document["Height"])
    except (ValueError, KeyError, TypeError):
        return None
    return (width, height) if 0 < width <= MAX_TERMINAL_SIDE and 0 < height <= MAX_TERMINAL_SIDE else None


class ClientGone(Exception):
    """The client closed its connection."""


class ChannelStream:
    """One accepted connection. `run` ends when the process' streams do, or when the client is gone."""

    def __init__(self, receive: Receive, send: Send, session: Session, options: StreamOptions) -> None:
        self._receive = receive
        self._send = send
        self._session = session
        self._options = options

    async def run(self) -> None:
        """Closes the session in any case."""
        try:
            # Clients take the first message as the sign that the command has been started.
            await self._message(STDOUT if self._options.stdout else STDERR if self._options.stderr else ERROR, b"")
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(self._take_input())
                status = await self._give_output()
                reader.cancel()
            await self._message(ERROR, json.dumps(status).encode())
            await self._send({"type": "websocket.close", "code": NORMAL_CLOSURE})
        except* ClientGone:
            log.debug("client of an exec or attach left")
        except* OSError:
            log.debug("connection of an exec or attach broke")
        finally:
            await self._session.close()

    async def _give_output(self) -> dict[str, Any]:
        """Passes on output until its end; what to say last."""
        wanted = {"stdout": self._options.stdout, "stderr": self._options.stderr}
        try:
            async for stream, data in self._session.output():
                if wanted[stream]:
                    await self._message(_CHANNELS[stream], data)
            code = await self._session.exit_code()
        except EngineError as error:
            return failure_status(str(error))
        return success_status() if code is None else exit_status(code)

    async def _take_input(self) -> None:
        """Passes on input until the client leaves. Raises: ClientGone."""
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                raise ClientGone
            data = message.get("bytes")
            if data is None:
                data = (message.get("text") or "").encode()
            if data:
                await self._take(data[0], data[1:])

    async def _take(self, channel: int, data: bytes) -> None:
        if channel == STDIN and self._options.stdin:
            await self._session.write(data)
        elif channel == RESIZE and self._options.tty and (size := parse_size(data)):
            await self._session.resize(*size)
        elif channel == CLOSE and data[:1] == bytes([STDIN]) and self._options.stdin:
            await self._session.close_stdin()

    async def _message(self, channel: int, data: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": bytes([channel]) + data})
