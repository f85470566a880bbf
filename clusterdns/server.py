"""Serves DNS by UDP and TCP at some addresses, to the pods of the cluster and to this node alone."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from random import sample
from time import perf_counter
from typing import Any

from apimachinery.validation import IPNetwork
from clusterdns import metrics
from clusterdns.cache import Encoded, EncodedAnswers
from clusterdns.message import (
    HEADER_BYTES,
    LARGEST_BYTES,
    RCODES,
    SERVFAIL,
    TYPE_A,
    TYPE_AAAA,
    BadQuery,
    Query,
    Reply,
    encode,
    error_reply,
    parse_query,
)
from clusterdns.metrics import QueryMetrics
from clusterdns.resolver import Answered, Pending, Resolver
from componentbase import logs

BATCH = 32  # datagrams that are answered before other tasks have their turn
ORDERS = 8
"""An answer with several addresses is given out in at most this many orders."""
RECEIVE_BUFFER_BYTES = 1 << 20
LARGEST_QUERY_BYTES = 4096
ASKING_MOST = 2000  # queries that wait for upstreams; more are answered with SERVFAIL at once
TCP_CONNECTIONS = 500
TCP_IDLE_SECONDS = 10.0
CLIENTS_REMEMBERED = 10_000

Client = tuple[Any, ...]
"""The address of a socket."""

log = logs.logger(__name__)


class DnsServer:
    """`resolver` may be replaced at any time; then `encoded` has to be cleared."""

    def __init__(
        self, resolver: Resolver, encoded: EncodedAnswers, counts: QueryMetrics, clients: Sequence[IPNetwork]
    ) -> None:
        """Who is not in the networks of `clients` gets no answer."""
        self.resolver, self._encoded, self._counts = resolver, encoded, counts
        self._clients = clients
        self._allowed: dict[str, bool] = {}
        self._asking = 0
        self._connections = 0

    async def run(self, addresses: Sequence[str], port: int) -> None:
        """Serves until cancelled. Raises: OSError when an address is not this host's, or taken."""
        loop = asyncio.get_running_loop()
        sockets: list[socket.socket] = []
        servers: list[asyncio.Server] = []
        try:
            for address in addresses:
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                udp = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
                sockets.append(udp)
                udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
                udp.bind((address, port))
                servers.append(await asyncio.start_server(self._serve_tcp, address, udp.getsockname()[1]))
            async with asyncio.TaskGroup() as tasks:
                for udp in sockets:
                    family_label = "2" if udp.family == socket.AF_INET6 else "1"
                    loop.add_reader(udp, partial(self._serve_udp, udp, family_label, tasks))
                await asyncio.Event().wait()
        finally:
            for server in servers:
                server.close()
            for udp in sockets:
                loop.remove_reader(udp)
                udp.close()

    def allows(self, client: str) -> bool:
        """Tells whether an address is one of those that get answers."""
        allowed = self._allowed.get(client)
        if allowed is None:
            if len(self._allowed) >= CLIENTS_REMEMBERED:
                self._allowed.clear()
            address = ip_address(client.partition("%")[0])
            allowed = self._allowed[client] = any(address in network for network in self._clients)
        return allowed

    def _serve_udp(self, udp: socket.socket, family: str, tasks: asyncio.TaskGroup) -> None:
        entries, observe, allowed = self._encoded.entries, self._counts.times.observe, self._allowed
        for _ in range(BATCH):
            try:
                data, client = udp.recvfrom(LARGEST_QUERY_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:  # what a client's host said of an earlier answer
                log.debug("receiving failed", error=str(error))
                continue
            started = perf_counter()
            if not (allowed.get(client[0]) or self.allows(client[0])):
                self._counts.dropped += 1
                continue
            entry = entries.get(data[2:])
            if entry is not None and started < entry.expires:
                entry.turn = turn = entry.turn + 1
                send(udp, data[:2] + entry.bodies[turn % len(entry.bodies)], client)
                observe(entry.labels, perf_counter() - started)
            elif len(data) >= HEADER_BYTES and not data[2] & 0x80:  # answers are not answered
                self._answer_udp(udp, data, client, family, tasks, started)

    def _answer_udp(
        self, udp: socket.socket, data: bytes, client: Client, family: str, tasks: asyncio.TaskGroup, started: float
    ) -> None:
        """Answers a query that no encoded answer fits: at once, or in a task if others have to be asked."""
        query = None
        try:
            query = parse_query(data)
            answered = self.resolver.answer(query)
            if isinstance(answered, Pending):
                if self._asking < ASKING_MOST:
                    self._asking += 1
                    tasks.create_task(self._ask_udp(udp, data, answered, client, family, started))
                    return
                answered = Answered(Reply(SERVFAIL), answered.site, seconds=0.0)
            body = encode(query, answered.reply, query.size)
        except Exception as error:
            send(udp, self._failed(data, query, error, "udp", family, started), client)
            return
        send(udp, body, client)
        if answered.seconds != 0 and not answered.site.logged and not varies(data, query):
            orders = self._orders(query, answered, body)
            expires = started + answered.seconds if answered.seconds else float("inf")
            labels = metrics.labels(answered.site.label, "udp", family, query, answered.reply)
            self._encoded.put(data[2:], Encoded(orders, labels, expires), answered.subject)
        self._count(query, "udp", family, answered, started)

    async def _ask_udp(
        self, udp: socket.socket, data: bytes, pending: Pending, client: Client, family: str, started: float
    ) -> None:
        query = pending.query
        try:
            answered = await self.resolver.finish(pending)
            body = encode(query, answered.reply, query.size)
            self._count(query, "udp", family, answered, started)
        except Exception as error:
            body = self._failed(data, query, error, "udp", family, started)
        finally:
            self._asking -= 1
        send(udp, body, client)

    def _orders(self, query: Query, answered: Answered, body: bytes) -> list[bytes]:
        """Returns the answer in several orders, so that clients which take the first address are spread over all."""
        count = sum(item.rtype == query.type for item in answered.reply.answers)
        if not answered.site.balanced or count < 2 or query.type not in (TYPE_A, TYPE_AAAA):
            return [body[2:]]
        starts = sample(range(count), min(count, ORDERS))
        return [encode(query, answered.reply.turned(query.type, start), query.size)[2:] for start in starts]

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers the queries of a connection one after the other."""
        client = writer.get_extra_info("peername")[0]
        family = "2" if ":" in client else "1"
        if not self.allows(client) or self._connections >= TCP_CONNECTIONS:
            self._counts.dropped += 1
            writer.close()
            return
        self._connections += 1
        try:
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                while True:
                    async with asyncio.timeout(TCP_IDLE_SECONDS):
                        (length,) = struct.unpack("!H", await reader.readexactly(2))
                        data = await reader.readexactly(length)
                    if len(data) < HEADER_BYTES or data[2] & 0x80:
                        break
                    answer = await self._answer_tcp(data, family)
                    writer.write(struct.pack("!H", len(answer)) + answer)
                    async with asyncio.timeout(TCP_IDLE_SECONDS):
                        await writer.drain()
        finally:
            self._connections -= 1
            writer.close()

    async def _answer_tcp(self, data: bytes, family: str) -> bytes:
        started, query = perf_counter(), None
        try:
            query = parse_query(data)
            answered = await self.resolver.resolve(query)
            body = encode(query, answered.reply, LARGEST_BYTES)
        except Exception as error:
            return self._failed(data, query, error, "tcp", family, started)
        self._count(query, "tcp", family, answered, started)
        return body

    def _failed(
        self, data: bytes, query: Query | None, error: Exception, protocol: str, family: str, started: float
    ) -> bytes:
        """Answers a bad query with its error, and any other with SERVFAIL. The server goes on."""
        rcode = error.rcode if isinstance(error, BadQuery) else SERVFAIL
        if not isinstance(error, BadQuery):
            log.exception("query failed", error, name=query.text if query else "")
        self._count(query, protocol, family, Answered(Reply(rcode)), started)
        return error_reply(data, rcode)

    def _count(self, query: Query | None, protocol: str, family: str, answered: Answered, started: float) -> None:
        """Counts a query, and logs it where the Corefile says so."""
        reply, seconds = answered.reply, perf_counter() - started
        self._counts.times.observe(metrics.labels(answered.site.label, protocol, family, query, reply), seconds)
        if answered.site.logged and query:
            rcode = RCODES.get(reply.rcode, str(reply.rcode))
            log.info(
                "query", name=query.text, type=query.type_name, proto=protocol, rcode=rcode, seconds=f"{seconds:.6f}"
            )


def send(udp: socket.socket, data: bytes, client: Client) -> None:
    """Sends an answer, or gives it up: the client asks again."""
    try:
        udp.sendto(data, client)
    except OSError as error:
        log.debug("sending failed", error=str(error))


def varies(data: bytes, query: Query) -> bool:
    """Tells whether the query has more in it than a question and an empty OPT record, such as a cookie."""
    return len(data) != HEADER_BYTES + len(query.question) + (11 if query.edns else 0)
