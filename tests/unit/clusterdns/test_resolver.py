"""The way of a question: names of the cluster, of the Corefile, and of the world, whose resolvers may fail or lie."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from dnslib import QTYPE, DNSRecord

from clusterdns import forward
from clusterdns.corefile.directives import parse_corefile
from clusterdns.corefile.options import ForwardOptions
from clusterdns.forward import Forwarder
from clusterdns.message import RCODES, Query, parse_name
from clusterdns.resolver import Answered, Resolver
from tests.fakes.dns import FakeCluster, FakeResolver

WORLD = """
www.example.com. 300 IN A 192.0.2.80
alias.example.com. 300 IN CNAME www.example.com.
short.example.com. 2 IN A 192.0.2.2
old.corp. 60 IN A 192.0.2.60
"""


@pytest.fixture
async def world() -> AsyncIterator[FakeResolver]:
    async with FakeResolver(WORLD).serving() as world:
        yield world


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.add("web", "10.96.1.1")
    cluster.add("out", type="ExternalName", externalName="www.example.com")
    cluster.add("inner", type="ExternalName", externalName="web.default.svc.cluster.local")
    cluster.add("circle", type="ExternalName", externalName="circle.default.svc.cluster.local")
    return cluster


def resolver(cluster: FakeCluster, world: FakeResolver, *directives: str, more: str = "") -> Resolver:
    lines = "\n".join(("kubernetes cluster.local in-addr.arpa {\nfallthrough in-addr.arpa\n}", *directives))
    text = f".:53 {{\n{lines}\n}}\n{more}".replace("WORLD", world.address.replace("#", ":"))
    return Resolver(parse_corefile(text), cluster, ["10.96.0.10"], lambda path: [])


async def ask(resolver: Resolver, name: str, type: int = 1) -> list[str] | str:
    reply = (await resolver.resolve(Query(parse_name(name), type))).reply
    return [str(item.rdata) for item in reply.answers] if not reply.rcode else RCODES[reply.rcode]


async def test_names_of_the_world_are_forwarded_and_kept(cluster: FakeCluster, world: FakeResolver) -> None:
    dns = resolver(cluster, world, "forward . WORLD", "cache 30")
    for _ in range(3):
        assert await ask(dns, "www.example.com") == ["192.0.2.80"]
        assert await ask(dns, "none.example.com") == "NXDOMAIN"
        assert await ask(dns, "www.example.com", 28) == []
    assert world.asked == ["www.example.com.", "none.example.com.", "www.example.com."]
    kept = dns.answer(Query(parse_name("www.example.com"), 1))
    assert isinstance(kept, Answered)
    assert 29 <= kept.reply.answers[0].ttl <= 30
    assert dns.cache_entries() == [(".", 1, 2)]


async def test_aliases_lead_to_the_world_and_back_but_not_in_circles(cluster: FakeCluster, world: FakeResolver) -> None:
    dns = resolver(cluster, world, "forward . WORLD", "cache")
    assert await ask(dns, "out.default.svc.cluster.local") == ["www.example.com.", "192.0.2.80"]
    assert await ask(dns, "out.default.svc.cluster.local", 5) == ["www.example.com."]
    assert await ask(dns, "inner.default.svc.cluster.local") == ["web.default.svc.cluster.local.", "10.96.1.1"]
    assert await ask(dns, "circle.default.svc.cluster.local") == "SERVFAIL"
    cluster.add("out", "10.96.1.7")  # a change of type holds at once
    assert await ask(dns, "out.default.svc.cluster.local") == ["10.96.1.7"]


async def test_only_zones_that_fall_through_leave_the_cluster(cluster: FakeCluster, world: FakeResolver) -> None:
    dns = resolver(cluster, world, "forward . WORLD")
    assert await ask(dns, "none.default.svc.cluster.local") == "NXDOMAIN"
    assert world.asked == []
    assert await ask(dns, "4.3.2.1.in-addr.arpa", 12) == "NXDOMAIN"
    assert world.asked == ["4.3.2.1.in-addr.arpa."]


async def test_hosts_and_other_names(cluster: FakeCluster, world: FakeResolver) -> None:
    dns = resolver(
        cluster, world, "forward . WORLD",
        "hosts {\n10.0.0.9 nine.example\nfallthrough example.com arpa\n}",
        "rewrite name shop.corp web.default.svc.cluster.local",
        "rewrite name exact new.corp www.example.com",
    )  # fmt: skip
    assert await ask(dns, "nine.example") == ["10.0.0.9"]
    assert await ask(dns, "nine.example", 28) == []
    assert await ask(dns, "9.0.0.10.in-addr.arpa", 12) == ["nine.example."]
    assert await ask(dns, "ten.example") == "SERVFAIL", "it doesn't fall through there"
    for name, address in (("shop.corp", "10.96.1.1"), ("new.corp", "192.0.2.80")):
        dns = resolver(cluster, world, "forward . WORLD", f"rewrite name {name} {world_name(name)}")
        answered = await dns.resolve(Query(parse_name(name), 1))
        assert [(str(item.rname), str(item.rdata)) for item in answered.reply.answers] == [(f"{name}.", address)]


def world_name(name: str) -> str:
    return {"shop.corp": "web.default.svc.cluster.local", "new.corp": "www.example.com"}[name]


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("prefix old- ''", "old-web.default.svc.cluster.local"),
        ("suffix .corp .default.svc.cluster.local", "web.corp"),
        ("substring .x. .", "web.x.default.svc.cluster.local"),
        ("regex (.*)\\.corp\\. {1}.default.svc.cluster.local", "web.corp"),
    ],
)
async def test_rules_of_each_kind(cluster: FakeCluster, world: FakeResolver, rule: str, name: str) -> None:
    dns = resolver(cluster, world, f"rewrite name {rule}".replace("''", '""'))
    assert await ask(dns, name) == ["10.96.1.1"]


async def test_zones_have_resolvers_of_their_own(cluster: FakeCluster, world: FakeResolver) -> None:
    dns = resolver(cluster, world, more="corp {\nforward . WORLD {\nexcept secret.corp\n}\n}")
    assert await ask(dns, "old.corp") == ["192.0.2.60"]
    assert await ask(dns, "a.secret.corp") == "SERVFAIL"
    assert await ask(dns, "www.example.com") == "SERVFAIL", "nobody is there to ask"
    alone = Resolver(parse_corefile("cluster.local {\nkubernetes\n}"), cluster, [], lambda path: [])
    assert await ask(alone, "www.example.com") == "REFUSED"


class TestUpstreams:
    @pytest.fixture
    def hurry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(forward, "TRY_SECONDS", 0.2)

    def forwarder(self, *addresses: str, **options: Any) -> Forwarder:
        return Forwarder(replace(ForwardOptions((), ()), policy="sequential", **options), addresses)

    @pytest.mark.usefixtures("hurry")
    async def test_a_resolver_that_is_silent_is_asked_last_from_then_on(self, world: FakeResolver) -> None:
        async with FakeResolver("").serving() as silent:
            silent.silent = True
            asker = self.forwarder(silent.address, world.address)
            for _ in range(4):
                reply = await asker.ask(Query(parse_name("www.example.com"), 1))
                assert reply.rcode == 0
            assert (len(silent.asked), len(world.asked)) == (2, 4)

    @pytest.mark.usefixtures("hurry")
    async def test_nobody_answers(self) -> None:
        async with FakeResolver("").serving() as silent:
            silent.silent = True
            for asker in (self.forwarder(silent.address), self.forwarder(), self.forwarder("127.0.0.1#1")):
                assert (await asker.ask(Query(("a",), 1))).rcode == 2

    @pytest.mark.usefixtures("hurry")
    async def test_lies_are_not_believed(self, world: FakeResolver) -> None:
        def lie(reply: DNSRecord) -> bytes:
            reply.header.id ^= 1
            return bytes(reply.pack())

        world.tamper = lie
        assert (await self.forwarder(world.address).ask(Query(parse_name("www.example.com"), 1))).rcode == 2

    async def test_an_answer_that_is_cut_short_is_fetched_by_tcp(self, world: FakeResolver) -> None:
        def cut(reply: DNSRecord) -> bytes:
            reply.header.tc, reply.rr = 1, []
            return bytes(reply.pack())

        world.tamper = cut
        reply = await self.forwarder(world.address).ask(Query(parse_name("www.example.com"), 1))
        assert [str(item.rdata) for item in reply.answers] == ["192.0.2.80"]
        assert world.by_tcp == ["www.example.com."]
        await self.forwarder(world.address, force_tcp=True).ask(Query(parse_name("short.example.com"), 1))
        assert world.by_tcp[-1] == "short.example.com."

    async def test_equal_questions_are_asked_once_and_too_many_refused(self, world: FakeResolver) -> None:
        asker = self.forwarder(world.address, max_concurrent=1)
        same, other = Query(parse_name("www.example.com"), 1), Query(parse_name("old.corp"), 1)
        replies = await asyncio.gather(*(asker.ask(query) for query in (same, replace(same, id=4), other)))
        assert [reply.rcode for reply in replies] == [0, 0, 5]
        assert world.asked == ["www.example.com."]

    @pytest.mark.parametrize("policy", ["random", "round_robin"])
    async def test_policies_spread(self, world: FakeResolver, policy: str) -> None:
        async with FakeResolver(WORLD).serving() as second:
            asker = Forwarder(replace(ForwardOptions((), ()), policy=policy), [world.address, second.address])
            for _ in range(40):
                await asker.ask(Query(parse_name("www.example.com"), 1))
            assert min(len(world.asked), len(second.asked)) >= 5

    async def test_a_resolver_that_asks_back_is_not_asked_again(self, cluster: FakeCluster) -> None:
        async with FakeResolver("").serving() as circle:
            dns = resolver(cluster, circle, "forward . WORLD", "loop")
            answering = circle.reply

            def ask_back(data: bytes) -> DNSRecord:
                query = DNSRecord.parse(data).q
                dns.answer(Query(parse_name(str(query.qname)), query.qtype))
                return answering(data)

            circle.reply = ask_back  # type: ignore[method-assign]
            await ask(dns, ".", QTYPE.HINFO)
            assert not dns.loops
            await dns.look_for_loops()
            assert dns.loops
            asked = len(circle.asked)
            assert await ask(dns, "www.example.com") == "SERVFAIL"
            assert len(circle.asked) == asked

    def test_the_dns_itself_is_nobody_to_ask(self, cluster: FakeCluster) -> None:
        config = parse_corefile(".:53 {\nkubernetes\nforward . 10.96.0.10 /etc/resolv.conf\n}")
        dns = Resolver(config, cluster, ["10.96.0.10"], lambda path: ["10.96.0.10", "192.0.2.53"])
        assert [item.address for site in dns._sites for f in site.forwarders for item in f._upstreams] == ["192.0.2.53"]
