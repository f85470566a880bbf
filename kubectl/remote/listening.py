"""Listens on the ports of this machine that `port-forward` forwards."""

from __future__ import annotations

import socket
from dataclasses import dataclass

BACKLOG = 64  # local connections that wait to be accepted


@dataclass(frozen=True)
class PortPair:
    """A local port, 0 for any free one, and the port of the pod."""

    local: int
    remote: int

    def __str__(self) -> str:
        return f"{{{self.local} {self.remote}}}"


def listen(address: str, port: int) -> socket.socket:
    """A socket that listens. Raises: OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
