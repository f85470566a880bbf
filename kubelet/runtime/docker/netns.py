"""Connections to a port inside a pod's network namespace, where a server that listens on loopback alone answers too."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from pathlib import Path

from componentbase.host.libc import checked, libc
from kubelet.runtime.interface import EngineError

CONNECT_SECONDS = 10.0
READ_BYTES = 64 * 1024  # buffered of what the pod sends, before it has to wait
LOOPBACKS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_CLONE_NEWNET = 0x40000000


def is_visible(container_id: str, pid: int) -> bool:
    """Tells whether we share a process namespace with the engine, so that `pid` is the container's for us, too."""
    try:
        return bool(pid) and container_id in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False


def own_pid(container_id: str, pid: int) -> int:
    """Returns our number of a container's first process, whose number in the engine's process namespace is `pid`.

    0 where it can't be seen: we have to be in that namespace, or in one above it.
    """
    if is_visible(container_id, pid):
        return pid
    numbers = (int(name) for name in os.listdir("/proc") if pid and name.isdigit())
    return next((number for number in numbers if is_visible(container_id, number) and pid in _numbers(number)), 0)


def _numbers(pid: int) -> list[int]:
    """Returns the numbers of a process in all namespaces that it is in; none when it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return []
    return [int(word) for line in status.splitlines() if line.startswith("NSpid:") for word in line.split()[1:]]


async def connect(pid: int, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connects to a port on the loopback of the process `pid`. Raises: EngineError."""
    error: OSError | None = None
    for family, address in LOOPBACKS:
        try:
            connection = await asyncio.to_thread(_socket_in, pid, family)
        except OSError as reason:
            if reason.errno == errno.EAFNOSUPPORT:
                continue
            raise EngineError(f"failed to enter the pod's network namespace: {reason.strerror}") from None
        try:
            return await _connected(connection, address, port)
        except OSError as reason:
            connection.close()
            error = error or reason
        except BaseException:
            connection.close()
            raise
    raise EngineError(f"failed to connect to localhost:{port} inside the pod's network namespace: {_reason(error)}")


async def connect_to(address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connects from outside, where the namespace can't be entered. Raises: EngineError."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await asyncio.open_connection(address, port, limit=READ_BYTES)
    except OSError as error:
        raise EngineError(f"failed to connect to {address}:{port}: {_reason(error)}") from None


def _reason(error: OSError | None) -> str:
    if isinstance(error, TimeoutError):
        return "connection timed out"
    return os.strerror(error.errno).lower() if error and error.errno else str(error or "no address family")


async def _connected(
    connection: socket.socket, address: str, port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(CONNECT_SECONDS):
        await asyncio.get_running_loop().sock_connect(connection, (address, port))
        return await asyncio.open_connection(sock=connection, limit=READ_BYTES)


def _socket_in(pid: int, family: socket.AddressFamily) -> socket.socket:
    """A socket belongs for good to the namespace it is connection in. Raises: OSError.

    The namespace is a thread's own: one is spent on it, since a thread of a pool would go on in there.
    """
    result: list[socket.socket | OSError] = []

    def work() -> None:
        try:
            namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                checked(libc.setns(namespace, _CLONE_NEWNET))
                connection = socket.socket(family, socket.SOCK_STREAM)
            finally:
                os.close(namespace)
            connection.setblocking(False)
            result.append(connection)
        except OSError as error:
            result.append(error)

    thread = threading.Thread(target=work, name="netns")
    thread.start()
    thread.join()
    if isinstance(result[0], OSError):
        raise result[0]
    return result[0]
