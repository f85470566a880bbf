"""What is written into kube-proxy's own table, and in what order."""

from __future__ import annotations

from dataclasses import replace

from kubeproxy.ledger import BASE, NOTHING, Ledger
from kubeproxy.nftables.rules import CHAIN, SET, base_fragment, object_name, service_fragment
from kubeproxy.nftables.transaction import deletion_text, delta_text, parse_names, whole_text
from kubeproxy.settings import LocalTraffic, Settings
from kubeproxy.topology import Balance, Endpoint, ServicePort

SETTINGS = Settings(local=LocalTraffic("10.244.0.0/16"))
ONE, TWO = Endpoint("10.244.1.5", 8080, True), Endpoint("10.244.2.6", 8080)
PORT = ServicePort("ns1", "svc1", "p80", "tcp", "172.30.0.41", 80, cluster_endpoints=(ONE,), has_endpoints=True)
SERVICE, END = object_name("service", PORT), object_name("endpoint", PORT, ONE)


def written(old: ServicePort | None, new: ServicePort | None) -> tuple[list[str], str]:
    """The lines that lead from one port to the other, without the table's name, and what is deleted afterwards."""
    ledger = Ledger()
    ledger.change({"svc": service_fragment([old], SETTINGS) if old else NOTHING})
    delta = ledger.change({"svc": service_fragment([new], SETTINGS) if new else NOTHING})
    lines = delta_text(delta, SETTINGS).replace("ip kube-proxy ", "").splitlines()
    return lines, deletion_text(delta.gone, 4).replace("ip kube-proxy ", "")


def test_names_are_those_of_upstream() -> None:
    assert SERVICE == "service-ULMVA6XW-ns1/svc1/tcp/p80"
    assert END.startswith("endpoint-")
    assert END.endswith("-ns1/svc1/tcp/p80__10.244.1.5/8080")
    assert ":" not in object_name("endpoint", PORT, Endpoint("fd00::5", 8080))
    assert len(object_name("endpoint", replace(PORT, service="s" * 63, namespace="n" * 63), ONE)) == 127


def test_a_new_service_is_a_chain_and_elements() -> None:
    lines, gone = written(None, PORT)
    assert lines == [
        f"add chain {SERVICE}", f"flush chain {SERVICE}",
        f"add rule {SERVICE} ip daddr 172.30.0.41 tcp dport 80 ip saddr != 10.244.0.0/16 jump mark-for-masquerade",
        f"add rule {SERVICE} meta l4proto tcp dnat to 10.244.1.5:8080",
        f"add element service-ips {{ 172.30.0.41 . tcp . 80 : goto {SERVICE} }}",
        "add element hairpin-connections { 10.244.1.5 . 10.244.1.5 }",
        "add element cluster-ips { 172.30.0.41 }",
    ]  # fmt: skip
    assert gone == ""


def test_a_changed_endpoint_touches_its_services_chain_alone() -> None:
    lines, gone = written(PORT, replace(PORT, cluster_endpoints=(TWO,)))
    assert [line for line in lines if "element" in line] == [
        "delete element hairpin-connections { 10.244.1.5 . 10.244.1.5 }"
    ], "the new one is on another node"
    assert lines[-1] == f"add rule {SERVICE} meta l4proto tcp dnat to 10.244.2.6:8080"
    assert gone == ""


def test_a_removed_service_leaves_nothing() -> None:
    lines, gone = written(PORT, None)
    assert lines[:3] == [
        "delete element service-ips { 172.30.0.41 . tcp . 80 }",
        "delete element hairpin-connections { 10.244.1.5 . 10.244.1.5 }",
        "delete element cluster-ips { 172.30.0.41 }",
    ]
    assert gone == f"delete chain {SERVICE}\n"


def test_balance_is_by_chance_in_turn_or_by_map() -> None:
    def choice(port: ServicePort) -> list[str]:
        return [rule for rule in service_fragment([port], SETTINGS).chains[CHAIN, SERVICE] if "saddr" not in rule]

    two = replace(PORT, cluster_endpoints=(ONE, TWO))
    one, other = (f"meta l4proto tcp dnat to {endpoint}" for endpoint in (ONE, TWO))
    assert choice(two) == [f"numgen random mod 2 0 {one}", other]
    in_turn = replace(two, balance=Balance.ROUND_ROBIN)
    assert choice(in_turn) == [f"numgen inc mod 2 0 {one}", other]
    many = tuple(Endpoint(f"10.244.1.{number}", 80) for number in range(9))
    (rule,) = choice(replace(PORT, cluster_endpoints=many))
    assert rule.startswith("numgen random mod 9 vmap { 0 : goto endpoint-")
    assert rule.count("goto") == 9


def test_affinity_is_a_set_with_a_timeout_for_each_endpoint() -> None:
    fragment = service_fragment([replace(PORT, affinity_seconds=60)], SETTINGS)
    ((kind, name),) = [key for key in fragment.chains if key[0] == SET]
    assert fragment.chains[kind, name] == ("type ipv4_addr ; flags dynamic,timeout ; timeout 60s",)
    assert f"ip saddr @{name} goto {END}" in fragment.chains[CHAIN, SERVICE]
    assert f"update @{name} {{ ip saddr }}" in fragment.chains[CHAIN, END]
    lines, gone = written(replace(PORT, affinity_seconds=60), replace(PORT, affinity_seconds=90))
    assert f"delete set {name}" in gone
    assert any(line.startswith("add set affinity-") and "timeout 90s" in line for line in lines)


def test_the_whole_table_is_written_over_whatever_is_there() -> None:
    ledger = Ledger()
    ledger.change({BASE: base_fragment(SETTINGS, ("172.18.0.2",)), "svc": service_fragment([PORT], SETTINGS)})
    text, gone = whole_text(ledger, [(CHAIN, "service-OLD"), (CHAIN, "services"), (SET, "cluster-ips")], SETTINGS)
    assert gone == [(CHAIN, "service-OLD")]
    lines = text.splitlines()
    assert lines[0] == 'add table ip kube-proxy { comment "rules for kube-proxy" ; }'
    maps = "type ipv4_addr . inet_proto . inet_service : verdict"
    assert f"add map ip kube-proxy service-ips {{ {maps} ; }}" in lines
    assert "flush map ip kube-proxy service-ips" in lines
    assert "flush chain ip kube-proxy service-OLD" in lines
    assert "add element ip kube-proxy nodeport-ips { 172.18.0.2 }" in lines
    hooked = "add chain ip kube-proxy nat-prerouting { type nat hook prerouting priority -100 ; }"
    assert hooked in lines
    assert lines.index(hooked) < lines.index("add rule ip kube-proxy nat-prerouting jump services")


def test_names_are_read_from_nfts_lists() -> None:
    text = '{"nftables": [{"metainfo": {}}, {"chain": {"family": "ip", "table": "kube-proxy", "name": "services"}}, \
{"set": {"table": "kube-proxy", "name": "cluster-ips"}}, {"chain": {"table": "nat", "name": "KUBE-SERVICES"}}]}'
    assert parse_names(text) == [(CHAIN, "services"), (SET, "cluster-ips")]
