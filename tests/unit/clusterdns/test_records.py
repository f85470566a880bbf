"""Names of Services, endpoints and pods: the specification of Kubernetes' DNS, section by section."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from dnslib import QTYPE

from clusterdns.corefile.options import KubernetesOptions, PodMode
from clusterdns.message import RCODES, parse_name
from clusterdns.records import Alias, Zone
from tests.fakes.dns import FakeCluster

OPTIONS = KubernetesOptions((("cluster", "local"), ("in-addr", "arpa"), ("ip6", "arpa")), PodMode.INSECURE, ttl=30)


def endpoint(address: str, hostname: str | None = None, **more: Any) -> dict[str, Any]:
    return {"addresses": [address]} | ({"hostname": hostname} if hostname else {}) | more


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.add("web", "10.96.1.1", ports="http/TCP/80 metrics/UDP/90")
    cluster.add("dual", "10.96.1.2", "fd00::2")
    cluster.add("db", "None", ports="pg/TCP/5432")
    cluster.add("empty", "None")
    cluster.add("out", type="ExternalName", externalName="WWW.example.com.")
    cluster.add("number", type="ExternalName", externalName="192.0.2.1")
    cluster.add_slice("web", endpoint("10.244.1.9"))
    cluster.add_slice(
        "db",
        endpoint("10.244.2.2", "db-1"),
        endpoint("10.244.1.1", "db-0", conditions={"ready": True}),
        endpoint("10.244.1.3", targetRef={"kind": "Pod", "name": "loose"}),
        endpoint("10.244.1.4", "db-3", conditions={"ready": False}),
        ports="pg/TCP/5433",
    )
    cluster.add_slice("db", endpoint("fd00::1:5", "db-0"), addressType="IPv6", ports="pg/TCP/5433")
    return cluster


def ask(cluster: FakeCluster, name: str, type: str = "A", options: KubernetesOptions = OPTIONS) -> list[str] | str:
    """The values of the records, or why there are none; an alias is its target."""
    parsed = parse_name(name)
    zone = next(zone for zone in options.zones if parsed[-len(zone) :] == zone)
    reply = Zone(zone, options, cluster, ["10.96.0.10"]).lookup(parsed, getattr(QTYPE, type))
    if isinstance(reply, Alias):
        return [".".join(reply.target)]
    assert reply.authoritative
    if not reply.answers:
        (soa,) = reply.authority
        assert (str(soa.rname), soa.ttl, soa.rdata.times[4]) == (".".join(zone) + ".", 30, 30)
        return RCODES[reply.rcode] if reply.rcode else "NODATA"
    assert {record.ttl for record in reply.answers} == {30}
    return [str(record.rdata) for record in reply.answers]


@pytest.mark.parametrize(
    ("name", "type", "answer"),
    [
        ("dns-version.cluster.local", "TXT", ['"1.1.0"']),
        ("web.default.svc.cluster.local", "A", ["10.96.1.1"]),
        ("WEB.Default.svc.Cluster.Local.", "A", ["10.96.1.1"]),
        ("web.default.svc.cluster.local", "AAAA", "NODATA"),
        ("web.default.svc.cluster.local", "MX", "NODATA"),
        ("dual.default.svc.cluster.local", "AAAA", ["fd00::2"]),
        ("dual.default.svc.cluster.local", "ANY", ["10.96.1.2", "fd00::2"]),
        ("web.prod.svc.cluster.local", "A", "NXDOMAIN"),
        ("_http._tcp.web.default.svc.cluster.local", "SRV", ["0 100 80 web.default.svc.cluster.local."]),
        ("_http._udp.web.default.svc.cluster.local", "SRV", "NXDOMAIN"),
        ("_none._tcp.web.default.svc.cluster.local", "SRV", "NXDOMAIN"),
        ("_tcp.web.default.svc.cluster.local", "A", "NODATA"),
        ("_sctp.web.default.svc.cluster.local", "A", "NXDOMAIN"),
        ("10-244-1-9.web.default.svc.cluster.local", "A", ["10.244.1.9"]),
        ("db.default.svc.cluster.local", "A", ["10.244.1.1", "10.244.1.3", "10.244.2.2"]),
        ("db.default.svc.cluster.local", "AAAA", ["fd00::1:5"]),
        ("db-0.db.default.svc.cluster.local", "A", ["10.244.1.1"]),
        ("db-0.db.default.svc.cluster.local", "AAAA", ["fd00::1:5"]),
        ("db-1.db.default.svc.cluster.local", "AAAA", "NODATA"),
        ("10-244-1-3.db.default.svc.cluster.local", "A", ["10.244.1.3"]),
        ("db-3.db.default.svc.cluster.local", "A", "NXDOMAIN"),
        ("empty.default.svc.cluster.local", "A", "NXDOMAIN"),
        ("out.default.svc.cluster.local", "A", ["www.example.com"]),
        ("_http._tcp.out.default.svc.cluster.local", "SRV", ["www.example.com"]),
        ("a.out.default.svc.cluster.local", "A", "NXDOMAIN"),
        ("number.default.svc.cluster.local", "A", "NODATA"),
        ("1.1.96.10.in-addr.arpa", "PTR", ["web.default.svc.cluster.local."]),
        ("1.1.244.10.in-addr.arpa", "PTR", ["db-0.db.default.svc.cluster.local."]),
        ("3.1.244.10.in-addr.arpa", "PTR", ["10-244-1-3.db.default.svc.cluster.local."]),
        ("9.1.244.10.in-addr.arpa", "PTR", "NXDOMAIN"),
        ("4.1.244.10.in-addr.arpa", "PTR", "NXDOMAIN"),
        ("1.96.10.in-addr.arpa", "PTR", "NXDOMAIN"),
        ("2" + ".0" * 27 + ".0.0.d.f.ip6.arpa", "PTR", ["dual.default.svc.cluster.local."]),
        ("10-1-2-3.default.pod.cluster.local", "A", ["10.1.2.3"]),
        ("fd00--7.default.pod.cluster.local", "AAAA", ["fd00::7"]),
        ("10-1-2-3.default.pod.cluster.local", "AAAA", "NODATA"),
        ("10-1-2-3.gone.pod.cluster.local", "A", "NXDOMAIN"),
        ("10-1-2-300.default.pod.cluster.local", "A", "NXDOMAIN"),
        ("default.svc.cluster.local", "A", "NODATA"),
        ("gone.svc.cluster.local", "A", "NXDOMAIN"),
        ("svc.cluster.local", "A", "NODATA"),
        ("gone.pod.cluster.local", "A", "NXDOMAIN"),
        ("cluster.local", "NS", ["ns.dns.cluster.local."]),
        ("cluster.local", "A", "NODATA"),
        ("ns.dns.cluster.local", "A", ["10.96.0.10"]),
        ("www.example.com.default.svc.cluster.local", "A", "NXDOMAIN"),
        ("www.example.com.cluster.local", "A", "NXDOMAIN"),
    ],
)  # fmt: skip
def test_a_name(cluster: FakeCluster, name: str, type: str, answer: list[str] | str) -> None:
    assert ask(cluster, name, type) == answer


def test_ports_of_headless_services_are_those_of_each_endpoint(cluster: FakeCluster) -> None:
    zone = Zone(("cluster", "local"), OPTIONS, cluster, [])
    reply = zone.lookup(parse_name("_pg._tcp.db.default.svc.cluster.local"), QTYPE.SRV)
    assert not isinstance(reply, Alias)
    targets = {"db-0", "10-244-1-3", "db-1"}
    assert {str(r.rdata) for r in reply.answers} == {f"0 25 5433 {t}.db.default.svc.cluster.local." for t in targets}
    addresses = {(str(r.rname).partition(".")[0], str(r.rdata)) for r in reply.additional}
    assert addresses == {
        ("db-0", "10.244.1.1"), ("db-0", "fd00::1:5"), ("10-244-1-3", "10.244.1.3"), ("db-1", "10.244.2.2")
    }  # fmt: skip


def test_pods_are_named_as_the_corefile_says(cluster: FakeCluster) -> None:
    cluster.pods = {("default", "10.1.2.3")}
    verified, disabled = replace(OPTIONS, pods=PodMode.VERIFIED), replace(OPTIONS, pods=PodMode.DISABLED)
    assert ask(cluster, "10-1-2-3.default.pod.cluster.local", options=verified) == ["10.1.2.3"]
    assert ask(cluster, "10-1-2-4.default.pod.cluster.local", options=verified) == "NXDOMAIN"
    assert ask(cluster, "10-1-2-3.default.pod.cluster.local", options=disabled) == "NXDOMAIN"
    by_pod = replace(OPTIONS, endpoint_pod_names=True)
    assert ask(cluster, "loose.db.default.svc.cluster.local", options=by_pod) == ["10.244.1.3"]


def test_before_services_are_known_nothing_is_denied(cluster: FakeCluster) -> None:
    cluster.synced = False
    reply = Zone(("cluster", "local"), OPTIONS, cluster, []).lookup(parse_name("x.y.svc.cluster.local"), 1)
    assert not isinstance(reply, Alias)
    assert RCODES[reply.rcode] == "SERVFAIL"


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("web.default.svc.cluster.local", "default/web"),
        ("a.web.default.svc.cluster.local", "default/web"),
        ("_a._b.web.default.svc.cluster.local", "default/web"),
        ("default.svc.cluster.local", ""),
        ("1-2-3-4.default.pod.cluster.local", ""),
    ],
)
def test_an_answer_depends_on_one_service_or_on_many(cluster: FakeCluster, name: str, subject: str) -> None:
    assert Zone(("cluster", "local"), OPTIONS, cluster, []).subject(parse_name(name)) == subject
