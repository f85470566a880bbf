"""The Corefile: what is served, and what every other one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterdns.configuration import DEFAULT_COREFILE, parse_name_servers
from clusterdns.corefile.directives import parse_corefile
from clusterdns.corefile.options import CacheOptions, CachePart, Fallthrough, PodMode
from clusterdns.corefile.syntax import CorefileError
from mini_cluster.objects.dns import COREFILE

MINIMAL = ".:53 {\n  kubernetes\n}\n"


def with_directive(text: str) -> str:
    return MINIMAL.replace("kubernetes\n", f"kubernetes\n{text}\n")


@pytest.mark.parametrize("text", [COREFILE, DEFAULT_COREFILE])
def test_what_clusters_begin_with(text: str) -> None:
    (block,) = parse_corefile(text).blocks
    assert block.zones == ((),)
    assert block.kubernetes is not None
    assert block.kubernetes.zones == (("cluster", "local"), ("in-addr", "arpa"), ("ip6", "arpa"))
    assert (block.kubernetes.pods, block.kubernetes.ttl) == (PodMode.INSECURE, 30)
    assert block.kubernetes.fallthrough == Fallthrough((("in-addr", "arpa"), ("ip6", "arpa")))
    assert [(item.zone, item.files, item.max_concurrent) for item in block.forwards] == [
        ((), ("/etc/resolv.conf",), 1000)
    ]
    assert block.cache == CacheOptions(success=CachePart(most_seconds=30), denial=CachePart(most_seconds=30))
    assert {"loop", "loadbalance"} <= block.served


def test_stub_domains_hosts_and_other_names() -> None:
    main, stub = parse_corefile(
        """
        .:53 {   # a comment
            kubernetes cluster.local
            hosts {
                10.0.0.1 a.example  b.example
                10.0.0.2 a.example
                ttl 60
                fallthrough
            }
            rewrite name shop.example "web.default.svc.cluster.local"
            rewrite continue name suffix .corp. .default.svc.cluster.local.
            rewrite stop name regex (.*)\\.old {1}.new answer auto
            cache {
                success 5000 3600 10
                denial 100
                disable success cluster.local
                servfail 0s
            }
        }
        corp.example consul:53 { # two zones
            forward . 10.0.0.53 [fd00::53]:5353 dns://10.0.0.54:54 {
                except not.corp.example
                policy sequential
                max_fails 3
                prefer_udp
                force_tcp
            }
        }
        """
    ).blocks
    assert main.hosts is not None
    assert main.hosts.addresses == {("a", "example"): ("10.0.0.1", "10.0.0.2"), ("b", "example"): ("10.0.0.1",)}
    assert main.hosts.names["10.0.0.1"] == (("a", "example"), ("b", "example"))
    assert main.hosts.fallthrough.covers(("x",))
    rules = [(rule.kind, rule.before, rule.after, rule.stop) for rule in main.rewrites]
    assert rules == [
        ("exact", "shop.example", "web.default.svc.cluster.local", True),
        ("suffix", ".corp", ".default.svc.cluster.local", False),
        ("regex", "(.*)\\.old", "{1}.new", True),
    ]
    assert main.cache == CacheOptions(
        success=CachePart(5000, 3600, 10, (("cluster", "local"),)),
        denial=CachePart(100, 1800, 5),
        servfail_seconds=0,
    )
    assert stub.zones == (("corp", "example"), ("consul",))
    (forward,) = stub.forwards
    assert forward.to == ("10.0.0.53#53", "fd00::53#5353", "10.0.0.54#54")
    assert (forward.policy, forward.max_fails, forward.force_tcp) == ("sequential", 3, True)
    assert forward.excluded == (("not", "corp", "example"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Corefile:1: there is no server block"),
        (".:53 {\n  kubernetes\n", "Corefile:1: the block that begins here is not closed"),
        ("kubernetes", "Corefile:1: expected a server block, such as `.:53 {`, found `kubernetes`"),
        (".:53 {\n  cache 30\n}", "Corefile:1: no server block has the directive kubernetes, so nothing in the"),
        (MINIMAL + MINIMAL, "Corefile:1: two server blocks have the zone ."),
        (".:1053 {\n}", "Corefile:1: `.:1053`: only plain DNS on port 53 is served"),
        ("tls://. {\n}", "Corefile:1: `tls://.`: only plain DNS on port 53 is served"),
        ("10.0.0.0/8 {\n}", "Corefile:1: `10.0.0.0/8`: write reverse zones as names"),
        (with_directive("autopath @kubernetes"), "Corefile:3: the directive `autopath` is not served here"),
        (with_directive("cache\ncache"), "Corefile:4: cache: is there twice"),
        (with_directive("template {\n a {\n }\n}"), "Corefile:3: a block within a directive's block is not served"),
        (".:53 {\n kubernetes {\n  pods some\n }\n}", "Corefile:3: kubernetes: `pods some` is not served here"),
        (".:53 {\n kubernetes {\n  ttl -1\n }\n}", "Corefile:3: kubernetes: `-1` is not a number from 0 to 3600"),
        (with_directive("hosts /etc/hosts"), "Corefile:3: hosts: files are not served"),
        (with_directive("hosts {\n 10.0.0.300 a\n}"), "Corefile:4: hosts: `10.0.0.300 a` is not served here"),
        (with_directive("forward ."), "Corefile:3: forward: write the zone, and the resolvers"),
        (with_directive("forward . tls://1.1.1.1"), "Corefile:3: forward: `tls://1.1.1.1` is not the address of"),
        (with_directive("forward . dns.example"), "Corefile:3: forward: `dns.example` is not the address of"),
        (with_directive("forward . 1.1.1.1 {\n tls\n}"), "Corefile:4: forward: `tls` is not served here"),
        (with_directive("rewrite type ANY A"), "Corefile:3: rewrite: only `rewrite [continue|stop] name"),
        (with_directive("rewrite name regex ( b"), "Corefile:3: rewrite: (: missing )"),
        (with_directive("cache {\n prefetch 5\n}"), "Corefile:4: cache: `prefetch 5` is not served here"),
        (with_directive("cache {\n servfail soon\n}"), "Corefile:4: cache: "),
        (with_directive('log "open'), "Corefile:3: a quote is not closed"),
    ],
)
def test_what_can_not_be_served_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        parse_corefile(text)
    assert str(caught.value).startswith(message)


def test_a_resolv_conf() -> None:
    text = "# x\nnameserver 10.0.0.1\nnameserver fe80::1%eth0\nnameserver nonsense\nsearch a\nnameserver\n"
    assert parse_name_servers(text) == ["10.0.0.1", "fe80::1%eth0"]


def test_the_docs_name_every_directive() -> None:
    from clusterdns.corefile.directives import _DIRECTIVES

    docs = (Path(__file__).parents[3] / "docs" / "dns.md").read_text()
    assert [name for name in _DIRECTIVES if f"`{name}`" not in docs] == []
