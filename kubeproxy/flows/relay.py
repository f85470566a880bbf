"""A small TCP proxy of the node's own, for Services balanced by least-connections.

Packet rules can't count open connections, so they redirect those Services' connections here. The kernel remembers where
a client meant to connect to; that address picks the Service. The endpoint sees the node's address, not the client's.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from ipaddress import IPv6Address
from typing import cast

from prometheus_client import Counter as Metric
from prometheus_client import Gauge

from componentbase import logs
from kubeproxy.family import Changes
from kubeproxy.flows.frontends import Frontends, least_connections_targets
from kubeproxy.settings import Family
from kubeproxy.topology import Endpoint

CONNECT_SECONDS = 5.0
BACKLOG = 1024  # connections waiting to be accepted; the kernel drops further ones, whose clients try again
ATTEMPTS = 3  # endpoints tried for a connection
MAX_CONNECTIONS = 8192  # at once; further ones are reset
BUFFER_BYTES = 64 * 1024  # of each direction; a sender waits for its receiver beyond that
_ORIGINAL_DESTINATION = 80
_SOL_IPV6 = 41
_RESET_WHEN_CLOSED = struct.pack("ii", 1, 0)

OPEN = Gauge("kubeproxy_relay_open_connections", "Connections of Services balanced by least-connections.")
REFUSED = Metric("kubeproxy_relay_refused_connections_total", "Connections that were reset.", ["why"])

log = logs.logger(__name__)


class Relay:
    """Listens on one port, and knows how many connections to each endpoint are open through it."""

    def __init__(self, families: Collection[Family]) -> None:
        self._families = families
        self._frontends = Frontends(least_connections_targets)
        self.open: Counter[Endpoint] = Counter()
        """How many connections each endpoint has; those without are not in it."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners = self._listen()
        self.port: int = self._listeners[0].getsockname()[1]

    def _listen(self) -> list[socket.socket]:
        """Raises: OSError."""
        listeners: list[socket.socket] = []
        port = 0
        for family in self._families:
            listener = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == 6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(("", port))
            listener.listen(BACKLOG)
            port = listener.getsockname()[1]
            listeners.append(listener)
        return listeners

    def update(self, changes: Changes) -> None:
        self._frontends.update(changes)

    async def run(self) -> None:
        """Serves until cancelled, then cuts its connections."""
        loop = asyncio.get_running_loop()
        servers = [
            await loop.create_server(lambda: _Side(self), sock=item, backlog=BACKLOG) for item in self._listeners
        ]
        try:
            await asyncio.gather(*(server.serve_forever() for server in servers))
        finally:
            for task in self._tasks:
                task.cancel()

    def accept(self, client: _Side) -> None:
        """Begins to connect a new client to an endpoint, or resets it."""
        targets = self._frontends.find(*original_destination(client.transport.get_extra_info("socket")))
        if not targets:  # somebody has asked the port itself, or the Service is just gone
            self._refuse(client, "no endpoint")
        elif self.open.total() >= MAX_CONNECTIONS:
            self._refuse(client, "too many")
        else:
            task = asyncio.get_running_loop().create_task(self._connect(client, targets))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _connect(self, client: _Side, targets: Collection[Endpoint]) -> None:
        left = set(targets)
        for _ in range(ATTEMPTS):
            if not left or client.transport.is_closing():
                break
            endpoint = self.choose(left)
            left.discard(endpoint)
            self._count(endpoint, 1)
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await asyncio.get_running_loop().create_connection(
                        lambda: _Side(self, client), endpoint.ip, endpoint.port
                    )
            except OSError as error:  # a timeout too
                self._count(endpoint, -1)
                log.debug("endpoint can't be reached", endpoint=str(endpoint), error=error)
                continue
            except BaseException:
                self._count(endpoint, -1)
                client.transport.abort()
                raise
            client.endpoint = endpoint
            client.start()
            return
        self._refuse(client, "unreachable")

    def choose(self, endpoints: Collection[Endpoint]) -> Endpoint:
        """Returns one of those with the fewest connections."""
        fewest = min(self.open[endpoint] for endpoint in endpoints)
        return random.choice([endpoint for endpoint in sorted(endpoints) if self.open[endpoint] == fewest])

    def closed(self, endpoint: Endpoint) -> None:
        self._count(endpoint, -1)

    def _count(self, endpoint: Endpoint, change: int) -> None:
        self.open[endpoint] += change
        if not self.open[endpoint]:
            del self.open[endpoint]
        OPEN.inc(change)

    @staticmethod
    def _refuse(client: _Side, why: str) -> None:
        REFUSED.labels(why).inc()
        client.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_WHEN_CLOSED)
        client.transport.abort()


class _Side(asyncio.Protocol):
    """One of the two connections; what comes from it goes to its peer."""

    def __init__(self, relay: Relay, peer: _Side | None = None) -> None:
        self._relay, self._peer = relay, peer
        self.transport: asyncio.Transport
        self.endpoint: Endpoint | None = None
        """Of the client's side alone, while it counts."""
        self._ended = False
        self._early = b""
        """What came before there was a peer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(BUFFER_BYTES)
        if self._peer is None:
            self._relay.accept(self)
        else:
            self._peer._peer = self

    def start(self) -> None:
        """The peer is connected: tells it what the client has said by now, and lets the client go on."""
        if self.transport.is_closing():
            self.connection_lost(None)
            return
        assert self._peer is not None
        if self._early:
            self._peer.transport.write(self._early)
            self._early = b""
        if self._ended:
            self._peer.transport.write_eof()
        self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._peer is not None:
            self._peer.transport.write(data)
        else:
            self._early += data
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Passes on that this side has said all, and goes on listening to the other."""
        self._ended = True
        if self._peer is not None:
            if self._peer._ended:
                self._peer.transport.close()
                return False
            with suppress(OSError):
                self._peer.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        if self._peer is not None:
            self._peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._peer is not None and not self._peer.transport.is_closing():
            self._peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._peer is not None:
            if exc is None:
                self._peer.transport.close()
            else:
                self._peer.transport.abort()
        if self.endpoint is not None:
            self._relay.closed(self.endpoint)
            self.endpoint = None


def original_destination(connection: socket.socket) -> tuple[str, int]:
    """Returns where the client of a redirected connection meant to connect to; else this end's own address."""
    try:
        if connection.family == socket.AF_INET:
            raw = connection.getsockopt(socket.SOL_IP, _ORIGINAL_DESTINATION, 16)
            port, address = struct.unpack_from("!2xH4s", raw)
            return socket.inet_ntoa(address), port
        raw = connection.getsockopt(_SOL_IPV6, _ORIGINAL_DESTINATION, 28)
        port, address = struct.unpack_from("!2xH4x16s", raw)
        return str(IPv6Address(address)), port
    except OSError:
        host, own_port, *_ = connection.getsockname()
        return str(host), int(own_port)
