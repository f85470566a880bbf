"""Runs commands and attaches to containers over WebSocket.

Frames are binary; the first byte names the channel. Source: Kubernetes API, `v5.channel.k8s.io`.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import signal
import ssl
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from apimachinery.errors import from_status
from kubeclient.access.tls import tls_context
from kubectl.api.client import USER_AGENT, Dict, Unreachable, identity_headers
from kubectl.invocation.command import CommandContext, ExitCode, UsageError

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PROTOCOLS = [Subprotocol("v5.channel.k8s.io"), Subprotocol("v4.channel.k8s.io")]
CHUNK_BYTES = 32 * 1024


@dataclass(frozen=True)
class RemoteProcess:
    """A command in a container, or without `command` the container's main process."""

    pod: Dict
    container: str
    command: Sequence[str] = ()
    stdin: bool = False
    tty: bool = False

    def open(self, context: CommandContext) -> ClientConnection:
        """Raises: StatusError where the server refuses, Unreachable."""
        streams = {"stdout": True, "stdin": self.stdin, "stderr": not self.tty, "tty": self.tty}
        params = [("command", word) for word in self.command] + [("container", self.container)]
        params += [(name, "true") for name, wanted in streams.items() if wanted]
        meta, subresource = self.pod["metadata"], "exec" if self.command else "attach"
        path = context.discovery.find("pods").path(meta["namespace"], meta["name"], subresource)
        return open_socket(context, path, params, PROTOCOLS)


def run_remote(context: CommandContext, process: RemoteProcess, *, terminal: bool) -> None:
    """Joins the process until it ends; `terminal`: standard input is one.

    Raises: ExitCode with its exit code if that is not 0, StatusError where the server refuses, Unreachable.
    """
    with process.open(context) as socket:
        with _raw_terminal() if terminal and process.stdin else contextlib.nullcontext():
            if terminal:
                _follow_size(socket)
            if process.stdin:
                threading.Thread(target=_send_stdin, args=(socket,), daemon=True).start()
            status = _receive(socket)
    _finish(status)


def pipe_remote(
    context: CommandContext,
    process: RemoteProcess,
    *,
    feed: Callable[[Callable[[bytes], None]], None] | None = None,
    take: Callable[[bytes], None] | None = None,
    quiet: bool = False,
) -> None:
    """Runs a process whose standard input `feed` writes with the function it gets, and whose output `take` gets.

    `quiet`: neither its output nor its exit code is printed.
    Raises: what `run_remote` raises, or `feed`.
    """
    failed: list[Exception] = []
    with process.open(context) as socket:

        def send_all() -> None:
            try:
                if feed is not None:
                    feed(lambda data: socket.send(bytes([STDIN]) + data))
                    _end_stdin(socket)
            except ConnectionClosed:
                pass  # the command ended first: its status says why
            except Exception as error:
                failed.append(error)
                socket.close()

        sender = threading.Thread(target=send_all, daemon=True)
        sender.start()
        try:
            out, err = (_ignore, _ignore) if quiet else (_write_out, _write_error)
            status = _receive(socket, take or out, err)
        except UsageError:
            if failed:
                raise failed[0] from None
            raise
    if failed:
        raise failed[0]
    _finish(status, quiet=quiet)


def open_socket(
    context: CommandContext, path: str, params: list[tuple[str, str]], protocols: list[Subprotocol]
) -> ClientConnection:
    """A WebSocket to a path of the API server. Raises: StatusError where the server refuses, Unreachable."""
    config = context.config
    where = urlsplit(config.server)
    url = f"{'wss' if config.secure else 'ws'}://{where.netloc}{where.path.rstrip('/')}{path}?{urlencode(params)}"
    tls = tls_context(config)
    if tls is not None:
        # Another thread reads while this one sends the request. Since TLS 1.3 the server's tickets come just then, and
        # OpenSSL bears no two threads in one connection's handshake messages: now and then the request was lost.
        tls.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        return connect(
            url,
            subprotocols=protocols,
            ssl=tls,
            server_hostname=(config.tls_server_name or None) if tls is not None else None,
            additional_headers=identity_headers(config),
            user_agent_header=USER_AGENT,
            max_size=None,
            compression=None,
            proxy=None,
        )
    except InvalidStatus as error:
        raise _refusal(error) from error
    except (OSError, WebSocketException) as error:
        raise Unreachable(f"Unable to connect to the server: {error}") from error


def frames(socket: ClientConnection) -> Iterator[tuple[int, bytes]]:
    """Yields what comes on each channel. Raises: ConnectionClosed where the other side breaks off."""
    for frame in socket:
        if frame and not isinstance(frame, str):
            yield frame[0], frame[1:]


def _refusal(error: InvalidStatus) -> Exception:
    body = error.response.body or b""
    try:
        return from_status(json.loads(body), error.response.status_code)
    except ValueError:
        return from_status({"message": body.decode(errors="replace")}, error.response.status_code)


def _write_out(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _ignore(data: bytes) -> None:
    """Drops the output."""


def _write_error(data: bytes) -> None:
    sys.stderr.buffer.write(data)
    sys.stderr.buffer.flush()


def _receive(
    socket: ClientConnection,
    take: Callable[[bytes], None] = _write_out,
    take_error: Callable[[bytes], None] = _write_error,
) -> Dict | None:
    """Copies output until the server closes, and returns the final Status, if there was one."""
    status: Dict | None = None
    try:
        for channel, data in frames(socket):
            if channel == ERROR:
                status = json.loads(data) if data else status
            elif channel == STDOUT and data:
                take(data)
            elif channel == STDERR and data:
                take_error(data)
    except ConnectionClosed as error:
        if status is None:
            raise UsageError(f"the connection to the container was lost: {error}") from error
    return status


def _finish(status: Dict | None, *, quiet: bool = False) -> None:
    if status is None or status.get("status") == "Success":
        return
    if status.get("reason") == "NonZeroExitCode":
        for cause in (status.get("details") or {}).get("causes") or ():
            if cause.get("reason") == "ExitCode":
                if not quiet:
                    sys.stderr.write(f"command terminated with exit code {cause['message']}\n")
                raise ExitCode(int(cause["message"]))
    raise from_status(status)


def _send_stdin(socket: ClientConnection) -> None:
    descriptor = sys.stdin.fileno()
    with contextlib.suppress(ConnectionClosed):  # the command ended first: its output and status say so
        while True:
            select.select([descriptor], [], [])
            data = os.read(descriptor, CHUNK_BYTES)
            if not data:
                break
            socket.send(bytes([STDIN]) + data)
        _end_stdin(socket)


def _end_stdin(socket: ClientConnection) -> None:
    """Ends standard input, which only the newest protocol can."""
    if socket.subprotocol == PROTOCOLS[0]:
        socket.send(bytes([CLOSE, STDIN]))


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _follow_size(socket: ClientConnection) -> None:
    """Sends the size now and after each change. A signal handler may only queue: the socket's lock may be held."""
    changes: queue.SimpleQueue[None] = queue.SimpleQueue()
    changes.put(None)
    signal.signal(signal.SIGWINCH, lambda *_: changes.put(None))

    def send_sizes() -> None:
        with contextlib.suppress(ConnectionClosed):  # a resize after the end changes nothing
            while True:
                changes.get()
                size = _terminal_size()
                message = json.dumps({"Width": size.columns, "Height": size.lines}).encode()
                socket.send(bytes([RESIZE]) + message)

    threading.Thread(target=send_sizes, daemon=True).start()


def _terminal_size() -> os.terminal_size:
    for stream in (sys.stdout, sys.stdin):
        with contextlib.suppress(OSError):
            return os.get_terminal_size(stream.fileno())
    return os.terminal_size((80, 24))
