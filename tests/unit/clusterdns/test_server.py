"""The server on sockets of loopback: who is answered, by which protocol, and that a change is seen at once."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import pytest
from dnslib import EDNS0, QTYPE, DNSHeader, DNSQuestion, DNSRecord
from prometheus_client import CollectorRegistry, generate_latest

from clusterdns.cache import EncodedAnswers
from clusterdns.corefile.directives import parse_corefile
from clusterdns.metrics import QueryMetrics
from clusterdns.resolver import Resolver
from clusterdns.server import DnsServer
from tests.fakes.dns import FakeCluster, FakeResolver
from tests.kits.process import free_port

COREFILE = ".:53 {\nkubernetes cluster.local\nforward . WORLD\ncache 30\nloadbalance\n}"
WEB = "web.default.svc.cluster.local"


class Served:
    def __init__(self, world: FakeResolver) -> None:
        self.cluster, self.encoded, self.world = FakeCluster(), EncodedAnswers(), world
        config = parse_corefile(COREFILE.replace("WORLD", world.address.replace("#", ":")))
        resolver = Resolver(config, self.cluster, ["127.0.0.1"], lambda path: [])
        self.counts = QueryMetrics(resolver.cache_entries)
        self.server = DnsServer(resolver, self.encoded, self.counts, [ip_network("127.0.0.1"), ip_network("::1")])
        self.port = free_port()

    def change(self, name: str, *ips: str) -> None:
        self.cluster.add(name, *ips)
        self.encoded.forget(f"default/{name}")

    def query(self, name: str = WEB, type: str = "A", **edns: Any) -> bytes:
        options = [EDNS0(**edns)] if edns else []
        return bytes(DNSRecord(DNSHeader(rd=1), q=DNSQuestion(name, getattr(QTYPE, type)), ar=options).pack())

    async def send(self, data: bytes, source: str = "127.0.0.1", seconds: float = 10.0) -> bytes:
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as udp:
            udp.setblocking(False)
            udp.bind((source, 0))
            udp.connect(("::1" if ":" in source else "127.0.0.1", self.port))
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(udp, data)
            return await asyncio.wait_for(loop.sock_recv(udp, 65535), seconds)

    async def ask(self, name: str = WEB, type: str = "A", source: str = "127.0.0.1", **edns: Any) -> DNSRecord:
        return DNSRecord.parse(await self.send(self.query(name, type, **edns), source))

    async def addresses(self, name: str = WEB) -> list[str]:
        return [str(item.rdata) for item in (await self.ask(name)).rr]

    def metrics(self) -> dict[str, float]:
        registry = CollectorRegistry()
        registry.register(self.counts)
        lines = [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with FakeResolver("www.example.com. 300 IN A 192.0.2.80").serving() as world:
        served = Served(world)
        served.change("web", "10.96.1.1")
        task = asyncio.ensure_future(served.server.run(["127.0.0.1", "::1"], served.port))
        await asyncio.sleep(0)
        yield served
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_name_is_answered_again_and_again_until_it_changes(served: Served) -> None:
    for _ in range(3):
        reply = await served.ask("Web.default.svc.cluster.local")
        assert [str(item.rdata) for item in reply.rr] == ["10.96.1.1"]
        assert str(reply.q.qname).startswith("Web")
    served.change("web", "10.96.1.2")
    assert await served.addresses() == ["10.96.1.2"]
    assert await served.addresses("none.default.svc.cluster.local") == []
    served.change("none", "10.96.1.3")
    assert await served.addresses("none.default.svc.cluster.local") == ["10.96.1.3"]


async def test_addresses_take_turns(served: Served) -> None:
    served.change("web", *(f"10.96.1.{number}" for number in range(4)))
    firsts = Counter([(await served.addresses())[0] for _ in range(40)])
    assert len(firsts) == 4
    assert min(firsts.values()) >= 9


async def test_the_world_by_udp_and_tcp(served: Served) -> None:
    for _ in range(3):
        assert await served.addresses("www.example.com") == ["192.0.2.80"]
    assert served.world.asked == ["www.example.com."]
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    for name in (WEB, "www.example.com", "none.example.com"):
        data = served.query(name)
        writer.write(len(data).to_bytes(2, "big") + data)
    rcodes = []
    for _ in range(3):
        length = int.from_bytes(await reader.readexactly(2), "big")
        rcodes.append(DNSRecord.parse(await reader.readexactly(length)).header.rcode)
    assert rcodes == [0, 0, 3]
    writer.close()


async def test_an_answer_too_long_for_udp_is_cut_to_what_the_client_takes(served: Served) -> None:
    served.change("web", *(f"10.96.{number}.1" for number in range(100)))
    plain, more = await served.ask(), await served.ask(udp_len=4096)
    assert (plain.header.tc, more.header.tc) == (1, 1)
    assert 20 < len(plain.rr) < len(more.rr) < 100


async def test_outsiders_get_no_answer(served: Served) -> None:
    with pytest.raises(TimeoutError):
        await served.send(served.query(), "127.0.0.2", seconds=0.2)
    assert (await served.ask(source="::1")).rr
    assert served.metrics()["kube_dns_dropped_queries_total"] == 1


async def test_nonsense_is_told_so_or_ignored(served: Served) -> None:
    for data, rcode in ((b"\0\7\1\0" + bytes(8), 1), (b"\0\7\x21\0\0\1" + bytes(6), 4)):
        assert DNSRecord.parse(await served.send(data)).header.rcode == rcode
    for data in (b"", b"\0\7", bytes(DNSRecord.parse(served.query()).reply().pack())):
        with pytest.raises(TimeoutError):
            await served.send(data, seconds=0.1)
    assert await served.addresses() == ["10.96.1.1"]


async def test_metrics_bear_coredns_names(served: Served) -> None:
    for _ in range(2):
        await served.ask()
    await served.ask("none.default.svc.cluster.local")
    await served.ask("www.example.com")
    metrics = served.metrics()
    asked = {key: value for key, value in metrics.items() if key.startswith("coredns_dns_requests_total")}
    assert sum(asked.values()) == 4
    answered = {key: value for key, value in metrics.items() if key.startswith("coredns_dns_responses_total")}
    assert sorted(answered.values()) == [1, 1, 2]
    assert sum("kubernetes" in key for key in answered) == 2
    assert [value for key, value in metrics.items() if "duration_seconds_count" in key] == [4]
    assert [value for key, value in metrics.items() if "cache_entries" in key and "success" in key] == [1]


async def test_a_query_that_can_not_be_answered_does_not_end_the_server(served: Served) -> None:
    def fail(*_: object) -> None:
        raise ValueError("a label of more than 63 letters")

    before, served.server.resolver.answer = served.server.resolver.answer, fail  # type: ignore[method-assign, assignment]
    assert (await served.ask("other.default.svc.cluster.local")).header.rcode == 2
    served.server.resolver.answer = before  # type: ignore[method-assign]
    assert await served.addresses() == ["10.96.1.1"]
