"""Forwards ports over WebSocket: one connection to the server for each local connection.

Frames are binary; the first byte names the channel: 0 carries data and 1 what went wrong. Each channel begins with
the port as two bytes, least significant first. Neither side can say that only its half has ended.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection
from websockets.typing import Subprotocol

from apimachinery.errors import StatusError
from kubectl.api.client import Unreachable
from kubectl.invocation.command import CommandContext
from kubectl.remote.listening import PortPair
from kubectl.remote.remotecommand import frames, open_socket

PROTOCOLS = [Subprotocol("v4.channel.k8s.io"), Subprotocol("portforward.k8s.io")]
DATA, ERROR = 0, 1
CHUNK_BYTES = 32 * 1024
LINGER_SECONDS = 10.0  # an answer may take after the local side has ended; more, and it has no reader


class PodForwarder:
    """Serves the listeners of one pod, each connection in threads of its own; `failed` is called with each failure."""

    def __init__(self, context: CommandContext, path: str, failed: Callable[[str], None]) -> None:
        self._context, self._path, self._failed = context, path, failed

    def serve(self, listener: socket.socket, forward: PortPair) -> None:
        threading.Thread(target=self._accept, args=(listener, forward), daemon=True).start()

    def _accept(self, listener: socket.socket, forward: PortPair) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed: the command ends
            self._context.print(f"Handling connection for {forward.local}")
            threading.Thread(target=self._carry, args=(connection, forward), daemon=True).start()

    def _carry(self, connection: socket.socket, forward: PortPair) -> None:
        with connection:
            try:
                problem = self._exchange(connection, forward)
            except (StatusError, Unreachable, OSError) as error:
                problem = str(error)
            if problem:
                self._failed(f"an error occurred forwarding {forward.local} -> {forward.remote}: {problem}")

    def _exchange(self, connection: socket.socket, forward: PortPair) -> str:
        """Carries data until one side has ended, and returns the server's message where it failed."""
        params = [("ports", str(forward.remote))]
        with open_socket(self._context, self._path, params, PROTOCOLS) as remote:
            threading.Thread(target=_send, args=(connection, remote), daemon=True).start()
            return _receive(connection, remote)


def _send(connection: socket.socket, remote: ClientConnection) -> None:
    try:
        while data := connection.recv(CHUNK_BYTES):
            remote.send(bytes([DATA]) + data)
        # its last answer may still be on the way, and nothing tells a half that has ended from a whole
        timer = threading.Timer(LINGER_SECONDS, remote.close)
        timer.daemon = True
        timer.start()
    except OSError:
        remote.close()  # the local side broke off
    except ConnectionClosed:
        pass  # the pod's side has ended: the other thread closes


def _receive(connection: socket.socket, remote: ClientConnection) -> str:
    named_ports: set[int] = set()  # channels whose first frame, the port, has come
    problem = b""
    with contextlib.suppress(ConnectionClosed):
        for channel, data in frames(remote):
            if channel not in named_ports:
                named_ports.add(channel)
            elif channel == ERROR:
                problem += data
            elif not _deliver(connection, data):
                break
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    return problem.decode(errors="replace")


def _deliver(connection: socket.socket, data: bytes) -> bool:
    """Returns False where nobody reads any more."""
    try:
        connection.sendall(data)
    except OSError:
        return False
    return True
