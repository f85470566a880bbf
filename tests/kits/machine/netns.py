"""Network namespaces for tests: made with `ip netns`, entered by a thread of their own, servers and clients inside."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
ANSWER_TIMEOUT_SECONDS = 3.0


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Namespace:
    """A network namespace; `run` calls a function in a thread that lives inside it."""

    def __init__(self, name: str) -> None:
        self.name = name
        ip("netns", "add", name)
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._thread = ThreadPoolExecutor(1, initializer=self._enter)
        self.ip("link", "set", "lo", "up")

    def _enter(self) -> None:
        with open(f"/var/run/netns/{self.name}") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

    def ip(self, *arguments: str) -> None:
        ip("-n", self.name, *arguments)

    def run(self, function: Callable[..., T], *arguments: Any) -> T:
        return self._thread.submit(function, *arguments).result()

    def command(self, *argv: str, stdin: str = "") -> str:
        nsenter = ["nsenter", f"--net=/var/run/netns/{self.name}", *argv]
        return subprocess.run(nsenter, check=True, capture_output=True, text=True, input=stdin).stdout

    def sysctl(self, name: str, value: str) -> None:
        self.run(_write, f"/proc/sys/{name}", value)

    def serve_tcp(self, port: int) -> None:
        """Answers each connection with this namespace's name and the client's address."""
        listener = self._bound(socket.SOCK_STREAM, port, socket.AF_INET6)  # it takes IPv4 as well
        listener.listen(128)
        self._start(self._accept, listener)

    def serve_udp(self, port: int) -> None:
        self._start(self._reply, self._bound(socket.SOCK_DGRAM, port))

    def forward(self, port: int) -> None:
        """Connections to 127.0.0.1:PORT in here go to 127.0.0.1:PORT outside: the way to a test's API server."""
        listener = self.run(socket.socket)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
        self._sockets.append(listener)
        self._start(self._forward_all, listener)

    def ask_tcp(self, address: str, port: int, timeout_seconds: float = ANSWER_TIMEOUT_SECONDS) -> tuple[str, str]:
        """(name of who answered, our address as they saw it). Raises: ConnectionRefusedError, TimeoutError."""

        def ask() -> bytes:
            with socket.create_connection((address, port), timeout=timeout_seconds) as client:
                client.shutdown(socket.SHUT_WR)
                return client.makefile("rb").read()

        name, peer = self.run(ask).decode().split()
        return name, peer

    def hold_tcp(self, address: str, port: int) -> tuple[str, socket.socket]:
        """The name of who answered, and the connection, still open on our side."""
        client = self.run(lambda: socket.create_connection((address, port), timeout=ANSWER_TIMEOUT_SECONDS))
        self._sockets.append(client)
        return client.recv(100).decode().split()[0], client

    def udp_client(self) -> socket.socket:
        """One source port for as long as it is open."""
        client = self._bound(socket.SOCK_DGRAM, 0)
        client.settimeout(ANSWER_TIMEOUT_SECONDS)
        return client

    def close(self) -> None:
        for item in self._sockets:
            with contextlib.suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)
            item.close()
        self._thread.shutdown()
        ip("netns", "del", self.name)

    def _bound(self, kind: socket.SocketKind, port: int, family: int = socket.AF_INET) -> socket.socket:
        made = self.run(socket.socket, family, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("", port))
        self._sockets.append(made)
        return made

    def _start(self, target: Callable[[socket.socket], None], item: socket.socket) -> None:
        threading.Thread(target=target, args=(item,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.sendall(f"{self.name} {peer[0].removeprefix('::ffff:')}".encode())

    def _forward_all(self, listener: socket.socket) -> None:
        port = listener.getsockname()[1]
        while True:
            try:
                inside, _ = listener.accept()
            except OSError:
                return
            try:
                outside = socket.create_connection(("127.0.0.1", port))
            except OSError:
                inside.close()
                continue
            for source, target in ((inside, outside), (outside, inside)):
                threading.Thread(target=_copy, args=(source, target), daemon=True).start()

    def _reply(self, server: socket.socket) -> None:
        while True:
            try:
                data, peer = server.recvfrom(100)
            except OSError:
                return
            if not data:
                return
            server.sendto(f"{self.name} {peer[0]}".encode(), peer)


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Until either side ends, which ends both."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for item in (source, target):
        with contextlib.suppress(OSError):
            item.shutdown(socket.SHUT_RDWR)


def ask_udp(client: socket.socket, address: str, port: int) -> str:
    """The name of who answered. Raises: TimeoutError."""
    client.sendto(b"?", (address, port))
    return client.recv(100).decode().split()[0]


def connect(one: Namespace, other: Namespace, name: str, peer: str) -> None:
    """A veth pair: `name` in `one`, `peer` in `other`, both up."""
    ip("link", "add", name, "netns", one.name, "type", "veth", "peer", "name", peer, "netns", other.name)
    one.ip("link", "set", name, "up")
    other.ip("link", "set", peer, "up")


def unique(label: str) -> str:
    """A namespace name that a parallel test run does not use."""
    return f"{label}-{os.getpid()}"


def _write(path: str, value: str) -> None:
    with open(path, "w") as file:
        file.write(value)
