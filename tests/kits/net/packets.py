"""Which packets a network device of this machine sends, after all packet rules."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

ETH_P_ALL = 3  # a socket for IP alone is not shown what leaves
BUFFER_BYTES = 1 << 24
IP_HEADER_BYTES = 20


class SentPackets:
    """What `device` has sent since this was made, as the kernel queued it for us. Needs root."""

    def __init__(self, device: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)  # 0: nothing before it is bound
        self._socket.setsockopt(socket.SOL_SOCKET, 33, BUFFER_BYTES)  # SO_RCVBUFFORCE
        self._socket.setblocking(False)
        self._socket.bind((device, ETH_P_ALL))

    def __enter__(self) -> SentPackets:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def between(self, networks: Iterable[IPv4Network]) -> set[tuple[str, str]]:
        """Returns (source, destination) of IPv4 packets with either in `networks`; each packet is told once."""
        pairs = set()
        with contextlib.suppress(BlockingIOError):
            while True:
                header, (_, protocol, direction, *_) = self._socket.recvfrom(IP_HEADER_BYTES)
                if direction == socket.PACKET_OUTGOING and protocol == 0x0800:
                    pairs.add((IPv4Address(header[12:16]), IPv4Address(header[16:20])))
        chosen = [pair for pair in pairs if any(end in network for network in networks for end in pair)]
        return {(str(source), str(destination)) for source, destination in chosen}


def uplink() -> str:
    """Returns the device of the default route; "" without one."""
    with open("/proc/net/route") as file:
        routes = [line.split() for line in file][1:]
    return next((route[0] for route in routes if route[1] == route[7] == "00000000"), "")
