"""Asks other resolvers, by UDP and, where an answer is too long for that, by TCP; one that fails is asked last."""

from __future__ import annotations

import asyncio
import random
import secrets
import struct
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from time import monotonic

from prometheus_client import Counter, Histogram

from clusterdns.corefile.options import ForwardOptions
from clusterdns.message import (
    RCODES,
    REFUSED,
    SERVFAIL,
    BadMessage,
    Query,
    Reply,
    decode_reply,
    encode_query,
)
from componentbase import logs

NAME = "forward"
TRY_SECONDS = 1.4
"""Three tries are over before a client's 5 seconds are."""
TRIES = 3
REST_SECONDS = 10.0
"""A resolver that failed is asked last for so long."""

log = logs.logger(__name__)

ASKED = Histogram("coredns_proxy_request_duration_seconds", "Time of an upstream.", ["proxy_name", "to", "rcode"])
REJECTED = Counter("coredns_forward_max_concurrent_rejects_total", "Queries refused as too many waited for upstreams.")
ALL_BROKEN = Counter("coredns_forward_healthcheck_broken_total", "Queries asked while all upstreams were failing.")


@dataclass
class _Upstream:
    """One resolver, and how it has done lately."""

    address: str
    port: int
    fails: int = 0
    failed_at: float = 0.0

    @property
    def text(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class _Answer(asyncio.DatagramProtocol):
    """Gives what arrives to `take` until that says it was the answer."""

    def __init__(self, take: Callable[[bytes], bool], done: asyncio.Future[None]) -> None:
        self._take, self._done = take, done

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._done.done() and self._take(data):
            self._done.set_result(None)

    def error_received(self, exc: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(exc)


class Forwarder:
    """The resolvers of one `forward` directive. Equal questions that wait at the same time are asked once."""

    def __init__(self, options: ForwardOptions, resolvers: Sequence[str]) -> None:
        """`resolvers` are "ADDRESS#PORT", those from files among them."""
        self.options = options
        pairs = (text.split("#") for text in dict.fromkeys(resolvers))
        self._upstreams = [_Upstream(address, int(port)) for address, port in pairs]
        self._next = 0
        self._waiting: dict[Query, asyncio.Future[Reply]] = {}

    async def ask(self, query: Query) -> Reply:
        """Never raises: where nobody answers, the reply is SERVFAIL."""
        same = Query(query.name, query.type, dnssec=query.dnssec, checking_disabled=query.checking_disabled)
        if (waiting := self._waiting.get(same)) is not None:
            return await asyncio.shield(waiting)
        if len(self._waiting) >= self.options.max_concurrent:
            REJECTED.inc()
            return Reply(REFUSED, plugin=NAME)
        answer = self._waiting[same] = asyncio.get_running_loop().create_future()
        try:
            reply = await self._ask(same)
            answer.set_result(reply)
        finally:
            del self._waiting[same]
            answer.cancel()  # of no effect once it has a result
        return reply

    async def _ask(self, query: Query) -> Reply:
        order = self._order()
        for index in range(TRIES if order else 0):
            upstream = order[index % len(order)]
            started = monotonic()
            try:
                async with asyncio.timeout(TRY_SECONDS):
                    reply = await self._ask_one(upstream, query)
            except (OSError, TimeoutError, BadMessage, asyncio.IncompleteReadError) as error:
                upstream.fails, upstream.failed_at = upstream.fails + 1, monotonic()
                if upstream.fails == 1:  # the others say no more, and clients can ask for many
                    log.warning("upstream failed", to=upstream.text, name=query.text, error=str(error) or "no answer")
                continue
            upstream.fails = 0
            rcode = RCODES.get(reply.rcode, str(reply.rcode))
            ASKED.labels(NAME, upstream.text, rcode).observe(monotonic() - started)
            return replace(reply, plugin=NAME)
        return Reply(SERVFAIL, plugin=NAME)

    def _order(self) -> list[_Upstream]:
        """Returns the resolvers in the order of the policy, with those that fail behind."""
        upstreams = list(self._upstreams)
        if self.options.policy == "random":
            random.shuffle(upstreams)
        elif self.options.policy == "round_robin" and upstreams:
            self._next = (self._next + 1) % len(upstreams)
            upstreams = upstreams[self._next :] + upstreams[: self._next]
        most, rested = self.options.max_fails, monotonic() - REST_SECONDS
        failing = [item for item in upstreams if most and item.fails >= most and item.failed_at > rested]
        if failing and len(failing) == len(upstreams):
            ALL_BROKEN.inc()
        return [item for item in upstreams if item not in failing] + failing

    async def _ask_one(self, upstream: _Upstream, query: Query) -> Reply:
        """Raises: OSError, TimeoutError, BadMessage, IncompleteReadError."""
        id = secrets.randbits(16)
        message = encode_query(query, id)
        if not self.options.force_tcp:
            reply, truncated = await self._by_udp(upstream, query, id, message)
            if not truncated:
                return reply
        reader, writer = await asyncio.open_connection(upstream.address, upstream.port)
        with closing(writer):
            writer.write(struct.pack("!H", len(message)) + message)
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            return decode_reply(await reader.readexactly(length), query, id)[0]

    async def _by_udp(self, upstream: _Upstream, query: Query, id: int, message: bytes) -> tuple[Reply, bool]:
        """Asks from a port of its own: who wants to lie has to guess it, and the id."""
        loop = asyncio.get_running_loop()
        received: list[tuple[Reply, bool]] = []

        def take(data: bytes) -> bool:
            try:
                received.append(decode_reply(data, query, id))
            except BadMessage:
                return False  # somebody guesses: the true answer may still come
            return True

        done: asyncio.Future[None] = loop.create_future()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Answer(take, done), remote_addr=(upstream.address, upstream.port)
        )
        try:
            transport.sendto(message)
            await done
        finally:
            transport.close()
        return received[0]
