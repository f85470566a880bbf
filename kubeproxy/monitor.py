"""Notices that somebody else changed the packet rules that are ours.

The kernel tells subscribers of every change in nftables, where the rules of `iptables` are as well, and numbers the
transactions. Rules that were flushed are so found missing at once, and rules that nobody touched are never read.

A legacy `iptables` keeps its rules elsewhere: the kernel tells nothing of them.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

_NETLINK_NETFILTER, _SOL_NETLINK = 12, 270
_ADD_MEMBERSHIP, _DROP_MEMBERSHIP = 1, 2
_NFTABLES_GROUP = 7
_NFTABLES_SUBSYSTEM = 10
_REQUEST = 1
_SO_RCVBUFFORCE = 33
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_FAMILY = struct.Struct("=BBH")
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_ANSWER_SECONDS = 1.0
_BUFFER_BYTES = 4 * 1024 * 1024  # of events not yet read; when it is full, the rules are checked

_MOST_CHANGES = 1000  # of a transaction of our own whose events are read

NEW_GENERATION, GET_GENERATION = 15, 16
"""Types of messages, as in `nf_tables_msg_types`: a transaction is complete; a question which was the last."""
DELETIONS = frozenset((2, 5, 8, 11, 14))
"""Messages of a deleted table, chain, rule, set or element."""


@dataclass(frozen=True, slots=True)
class RuleEvent:
    """One change in the kernel's rules."""

    family: int
    """2 is IPv4, 10 is IPv6, as sockets have it."""
    kind: int
    table: str
    names: tuple[str, ...] = ()
    """Other names in the message; of a rule, its chain's."""

    @property
    def deletion(self) -> bool:
        return self.kind in DELETIONS


def parse_events(data: bytes) -> Iterator[RuleEvent]:
    """Reads netlink messages; those of other subsystems are skipped."""
    offset = 0
    while offset + _HEADER.size + _FAMILY.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, offset)
        if kind >> 8 == _NFTABLES_SUBSYSTEM:
            family, *_ = _FAMILY.unpack_from(data, offset + _HEADER.size)
            names = tuple(_names(data[offset + _HEADER.size + _FAMILY.size : offset + length]))
            yield RuleEvent(family, kind & 0xFF, names[0] if names else "", names[1:])
        offset += max((length + 3) & ~3, _HEADER.size)


def _names(attributes: bytes) -> Iterator[str]:
    """Yields the attributes of the first three types that are text: a table's name, and its chain's or its own."""
    offset = 0
    while offset + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, offset)
        text = attributes[offset + _ATTRIBUTE.size : offset + length]
        if kind <= 3 and text.endswith(b"\0") and text[:-1].isascii() and text[:1].isalpha():
            yield text[:-1].decode()
        offset += max((length + 3) & ~3, _ATTRIBUTE.size)


class RuleMonitor:
    """Watches the rules of this network namespace; `altered` until `reset`."""

    def __init__(self, concerns: Callable[[RuleEvent], bool], *, blind: bool = False) -> None:
        """`concerns` picks the changes that matter. `blind` says that the kernel tells nothing (legacy iptables)."""
        self._concerns = concerns
        self.blind = blind
        self.altered = False
        self.on_change: Callable[[], None] = lambda: None
        """Called when others have changed the rules."""
        self._own = 0
        """How many transactions of our own are still to be told of."""
        self._concerned = False
        """Whether the transaction that is being told of changes anything that matters."""
        self._events = self._socket()
        self._join(True)
        asyncio.get_running_loop().add_reader(self._events, self._drain)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._events)
        self._events.close()

    def reset(self) -> None:
        """Takes note that the rules are about to be read. Changes that come after this count again."""
        self._drain()
        self.altered = False

    @asynccontextmanager
    async def own(self, transactions: int, changes: int) -> AsyncIterator[None]:
        """Surrounds so many transactions of our own, with about so many changes in all.

        More transactions that concern us, or of large ones, whose events are not worth reading, more transactions at
        all, mean that somebody else made some meanwhile.
        """
        self._drain()
        quiet = changes > _MOST_CHANGES
        before = self._generation()
        self._own = 0 if quiet else transactions
        if quiet:
            self._join(False)
        try:
            yield
        finally:
            if quiet:
                self._join(True)
                if (self._generation() - before) & 0xFFFFFFFF != transactions:
                    self._alter()
            self._drain()
            self._own = 0

    def _alter(self) -> None:
        if not self.altered:
            self.altered = True
            self.on_change()

    def _drain(self) -> None:
        while True:
            try:
                data = self._events.recv(1 << 18)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._alter()  # events were lost
                continue
            for event in parse_events(data):
                self._take(event)

    def _take(self, event: RuleEvent) -> None:
        """Takes one event; that of a new generation ends a transaction."""
        if event.kind != NEW_GENERATION:
            self._concerned = self._concerned or self._concerns(event)
            return
        if self._concerned:
            if self._own:
                self._own -= 1
            else:
                self._alter()
        self._concerned = False

    def _join(self, join: bool) -> None:
        self._events.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP if join else _DROP_MEMBERSHIP, _NFTABLES_GROUP)

    def _generation(self) -> int:
        """Returns the number of the last transaction."""
        kind = _NFTABLES_SUBSYSTEM << 8 | GET_GENERATION
        with self._socket() as asking:
            asking.settimeout(_ANSWER_SECONDS)
            asking.send(_HEADER.pack(_HEADER.size + _FAMILY.size, kind, _REQUEST, 1, 0) + _FAMILY.pack(0, 0, 0))
            answer = asking.recv(4096)
        (number,) = struct.unpack_from(">I", answer, _HEADER.size + _FAMILY.size + _ATTRIBUTE.size)
        return int(number)

    @staticmethod
    def _socket() -> socket.socket:
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETLINK_NETFILTER)
        try:
            made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        except PermissionError:  # in a user namespace: as much as the machine allows everybody
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        made.bind((0, 0))
        return made
