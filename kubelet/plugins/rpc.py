"""gRPC over Unix sockets: calls of a plugin, and a service for plugins to call.

grpclib does the protocol. It is asyncio's own and small: 2 MiB, where grpcio takes 10 and threads; the house's HTTP/2
has no server. It is imported at the first call, so that a node without plugins does not pay for it.
Source: gRPC over HTTP/2; the names of its status codes as Go prints them, which users know from events.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from componentbase import logs
from kubelet.plugins.message import Message, MessageError

if TYPE_CHECKING:
    from grpclib.client import Channel
    from grpclib.server import Server, Stream

M = TypeVar("M", bound=Message)

DEFAULT_SECONDS = 120.0  # for one call; what takes longer is asked for again
BACKLOG = 16  # connections that wait to be accepted; a plugin that finds it full tries again

log = logs.logger(__name__)


class RpcError(Exception):
    """A call failed. `code` is gRPC's name: "NotFound", "Unavailable" (also when the socket takes no connection) …"""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(f"rpc error: code = {code} desc = {details}")
        self.code = code
        self.details = details


class PluginClient:
    """Calls one plugin by its socket. The connection is made at the first call, and again after it was lost."""

    def __init__(self, socket_path: str) -> None:
        self.socket_path = socket_path
        self._channel: Channel | None = None

    async def call(
        self, method: str, request: Message, answer: type[M], *, timeout_seconds: float = DEFAULT_SECONDS
    ) -> M:
        """Calls a method by its path: "/csi.v1.Node/NodeGetInfo". Raises: RpcError."""
        from grpclib.client import UnaryUnaryMethod

        unary = UnaryUnaryMethod(self._open(), method, type(request), answer)
        # A task of its own: grpclib cancels the task that calls, and would swallow a cancellation of ours.
        task = asyncio.ensure_future(unary(request, timeout=timeout_seconds))
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        with _rpc_errors(self.socket_path):
            return task.result()

    async def stream(self, method: str, request: Message, answer: type[M]) -> AsyncIterator[M]:
        """Yields the answers until the plugin ends the stream. Raises: RpcError."""
        from grpclib.client import UnaryStreamMethod

        with _rpc_errors(self.socket_path):
            opened = UnaryStreamMethod(self._open(), method, type(request), answer).open()
            async with opened as stream:
                await stream.send_message(request, end=True)
                async for message in stream:
                    yield message

    async def connect(self) -> asyncio.Event:
        """Connects, and returns what is set when that connection is over. Raises: RpcError."""
        with _rpc_errors(self.socket_path):
            handler = (await self._open().__connect__()).handler
        lost, close = asyncio.Event(), handler.close

        def on_close() -> None:
            close()
            lost.set()

        handler.close = on_close  # type: ignore[method-assign]  # what grpclib calls, and all that it tells
        return lost

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _open(self) -> Channel:
        if self._channel is None:
            from grpclib.client import Channel

            self._channel = Channel(path=self.socket_path, codec=_codec())
        return self._channel


def _bind(listener: socket.socket, path: str) -> None:
    """Binds by a short name, as the kernel takes no path of more than 107 bytes. Raises: OSError."""
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
    try:
        listener.bind(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)


class _rpc_errors:  # noqa: N801  # reads like a function: `with _rpc_errors(path):`
    """Turns what grpclib raises into RpcError."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

        if isinstance(error, GRPCError):
            code = "".join(word.capitalize() for word in error.status.name.split("_"))
            raise RpcError(code, error.message or "") from None
        if isinstance(error, TimeoutError):
            raise RpcError("DeadlineExceeded", "context deadline exceeded") from None
        if isinstance(error, StreamTerminatedError | OSError):
            raise RpcError("Unavailable", f"connection error: dial unix {self._path}: {error}") from None
        if isinstance(error, MessageError | ProtocolError | NotImplementedError | AssertionError | struct.error):
            # the last three are grpclib's own, for compressed messages and for those that end too early
            raise RpcError("Internal", f"the answer was not understood: {error}") from None


@lru_cache(maxsize=1)
def _codec() -> Any:
    from grpclib.encoding.base import CodecBase

    class Codec(CodecBase):
        __content_subtype__ = "proto"

        def encode(self, message: Any, message_type: Any) -> bytes:
            return bytes(message)

        def decode(self, data: bytes, message_type: Any) -> Any:
            return message_type.parse(data)

    return Codec()


Method = tuple[type[Message], type[Message], Callable[[Any], Awaitable[Message]]]
"""(request, answer, handler); the handler's RpcError goes to the caller."""


class PluginServer:
    """Serves unary methods on a socket, which only root may reach. `methods` by path."""

    def __init__(self, socket_path: str, methods: Mapping[str, Method]) -> None:
        self._path = socket_path
        self._methods = methods

    async def run(self) -> None:
        """Listens until cancelled, and then removes the socket. Raises: OSError."""
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server: Server | None = None
        try:
            _bind(listener, self._path)
            os.chmod(self._path, 0o600)
            listener.listen(BACKLOG)
            listener.setblocking(False)
            await _readable(listener)
            server = await self._serve(listener)
            await asyncio.get_running_loop().create_future()
        finally:
            with suppress(FileNotFoundError):
                os.unlink(self._path)
            if server is not None:
                server.close()
            listener.close()

    async def _serve(self, listener: socket.socket) -> Server:
        from grpclib.server import Server

        server = Server([self], codec=_codec())
        await server.start(sock=listener)
        return server

    def __mapping__(self) -> dict[str, Any]:
        """Tells grpclib what there is to call."""
        from grpclib.const import Cardinality, Handler

        return {
            path: Handler(_answering(handler), Cardinality.UNARY_UNARY, request, answer)
            for path, (request, answer, handler) in self._methods.items()
        }


def _answering(handler: Callable[[Any], Awaitable[Message]]) -> Callable[[Stream[Any, Any]], Awaitable[None]]:
    from grpclib.const import Status
    from grpclib.exceptions import GRPCError

    async def answer(stream: Stream[Any, Any]) -> None:
        request = await stream.recv_message()
        try:
            await stream.send_message(await handler(request))
        except RpcError as error:
            names = {"".join(word.capitalize() for word in status.name.split("_")): status for status in Status}
            raise GRPCError(names.get(error.code, Status.UNKNOWN), error.details) from None

    return answer


async def _readable(listener: socket.socket) -> None:
    """Waits for the first connection."""
    loop, arrived = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(listener, arrived.set)
    try:
        await arrived.wait()
    finally:
        loop.remove_reader(listener)
