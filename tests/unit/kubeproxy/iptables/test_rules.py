"""The text that iptables-restore gets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from kubeproxy.iptables import restore
from kubeproxy.iptables.restore import (
    ALL_JUMPS,
    JUMPS,
    Installed,
    Writes,
    cleanup_texts,
    in_batches,
    parse_save,
    repair,
    restore_text,
)
from kubeproxy.iptables.rules import FILTER_CHAINS, NAT_CHAINS, SHARED, base_fragment, chain_name, service_fragment
from kubeproxy.ledger import BASE, Key, Ledger
from kubeproxy.settings import LocalTraffic, Settings
from kubeproxy.topology import Balance, Endpoint, ServicePort

SETTINGS = Settings(local=LocalTraffic("10.244.0.0/16"))
BARE = Installed(jumps=ALL_JUMPS)
ONE, TWO, THREE = (Endpoint(f"10.244.1.{n}", 8080, True) for n in (5, 6, 7))
PORT = ServicePort("default", "web", "http", "tcp", "10.96.0.10", 80, cluster_endpoints=(ONE,), has_endpoints=True)
OTHER = replace(PORT, service="api", cluster_ip="10.96.0.11")


def fragments(ports: Sequence[ServicePort], settings: Settings = SETTINGS):  # type: ignore[no-untyped-def]
    services = dict.fromkeys(port.service for port in ports)
    return {name: service_fragment([port for port in ports if port.service == name], settings) for name in services}


def ledger(*ports: ServicePort, settings: Settings = SETTINGS, node_ports_on: tuple[str, ...] | None = None) -> Ledger:
    made = Ledger()
    made.change({BASE: base_fragment(settings, node_ports_on)} | fragments(ports, settings))
    return made


def tables_of(text: str) -> dict[str, list[str]]:
    """Table -> its lines."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            lines = found.setdefault(line[1:], [])
        else:
            lines.append(line)
    return found


def tables(*ports: ServicePort, settings: Settings = SETTINGS, installed: Installed = BARE) -> dict[str, list[str]]:
    return tables_of(restore_text(repair(ledger(*ports, settings=settings), installed, trusted=False)))


def change(old: Sequence[ServicePort], *new: ServicePort) -> dict[str, list[str]]:
    """What is written when these ports, all of the Services there are, take the place of those."""
    held = ledger(*old)
    gone = {port.service: service_fragment([], SETTINGS) for port in old}
    return tables_of(restore_text(Writes(held.change(gone | fragments(new)))))


def counts(held: Ledger) -> dict[Key, int]:
    """How many rules each chain has when all are written."""
    shared = {key: len(held.entries.get(key, ())) for key in SHARED}
    return shared | {key: len(chain_rules) for key, chain_rules in held.chains.items()}


def rules(lines: list[str], chain: str) -> list[str]:
    """A chain's rules without comments, "-A" and the chain's name."""
    start = f"-A {chain} "
    return [
        re.sub(r'-m comment --comment "[^"]*" ?', "", line[len(start) :]) for line in lines if line.startswith(start)
    ]


def sep(endpoint: Endpoint, port: ServicePort = PORT) -> str:
    return chain_name("KUBE-SEP-", port, endpoint)


SVC, SVL, EXT, FW = (chain_name(prefix, PORT) for prefix in ("KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-"))
TO_PORTAL = "-m tcp -p tcp -d 10.96.0.10/32 --dport 80"
REJECTION = "-d 10.96.0.10/32 -j REJECT"
NODE_PORT_JUMP = "! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"


def test_chain_names_are_those_of_upstream() -> None:
    # The service every cluster has, as any cluster's iptables-save shows it.
    kubernetes = ServicePort("default", "kubernetes", "https", "tcp", "10.96.0.1", 443)
    assert chain_name("KUBE-SVC-", kubernetes) == "KUBE-SVC-NPX46M4PTMTKRN6Y"
    dns = ServicePort("kube-system", "kube-dns", "dns", "udp", "10.96.0.10", 53)
    assert chain_name("KUBE-SVC-", dns) == "KUBE-SVC-TCOU7JCQXEZGVUNU"
    assert len(chain_name("KUBE-SVC-", kubernetes)) <= 28


def test_the_whole_of_one_service() -> None:
    found = tables(PORT)
    assert found["nat"][-1] == found["filter"][-1] == "COMMIT"
    nat, own = found["nat"], sep(ONE)
    assert {line.split()[0] for line in nat if line.startswith(":")} == {
        ":KUBE-SERVICES", ":KUBE-NODEPORTS", ":KUBE-POSTROUTING", ":KUBE-MARK-MASQ", f":{SVC}", f":{own}",
    }  # fmt: skip
    assert [line for line in nat if line.startswith("-A KUBE-SERVICES")] == [
        f'-A KUBE-SERVICES -m comment --comment "default/web:http cluster IP" {TO_PORTAL} -j {SVC}',
        '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this '
        'chain" ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS',
    ]
    assert rules(nat, SVC) == [f"! -s 10.244.0.0/16 {TO_PORTAL} -j KUBE-MARK-MASQ", f"-j {own}"]
    assert rules(nat, own) == [
        "-s 10.244.1.5/32 -j KUBE-MARK-MASQ", "-m tcp -p tcp -j DNAT --to-destination 10.244.1.5:8080",
    ]  # fmt: skip
    assert rules(nat, "KUBE-POSTROUTING") == [
        "-m mark ! --mark 0x4000/0x4000 -j RETURN", "-j MARK --xor-mark 0x4000", "-j MASQUERADE --random-fully",
    ]  # fmt: skip
    assert rules(nat, "KUBE-MARK-MASQ") == ["-j MARK --or-mark 0x4000"]
    assert rules(found["filter"], "KUBE-SERVICES") == [REJECTION]
    assert rules(found["filter"], "KUBE-FORWARD") == [
        "-m conntrack --ctstate INVALID -j DROP",
        "-m mark --mark 0x4000/0x4000 -j ACCEPT",
        "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    ]


def test_ipv6_has_its_own_spelling() -> None:
    end = Endpoint("fd00:1::5", 8080)
    port = replace(PORT, cluster_ip="fd00:96::a", cluster_endpoints=(end,))
    settings = Settings(family=6, local=LocalTraffic("fd00:1::/64"))
    nat = tables(port, settings=settings)["nat"]
    assert rules(nat, "KUBE-SERVICES") == [
        f"-m tcp -p tcp -d fd00:96::a/128 --dport 80 -j {SVC}",
        "! -d ::1/128 -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS",
    ]
    assert rules(nat, sep(end)) == [
        "-s fd00:1::5/128 -j KUBE-MARK-MASQ", "-m tcp -p tcp -j DNAT --to-destination [fd00:1::5]:8080",
    ]  # fmt: skip


def test_endpoints_get_equal_weight() -> None:
    nat = tables(replace(PORT, cluster_endpoints=(ONE, TWO, THREE)))["nat"]
    assert rules(nat, SVC)[1:] == [
        f"-m statistic --mode random --probability 0.3333333333 -j {sep(ONE)}",
        f"-m statistic --mode random --probability 0.5000000000 -j {sep(TWO)}",
        f"-j {sep(THREE)}",
    ]


def test_affinity_asks_first_who_served_the_client() -> None:
    nat = tables(replace(PORT, cluster_endpoints=(ONE, TWO), affinity_seconds=60))["nat"]
    assert rules(nat, SVC)[1:3] == [
        f"-m recent --name {sep(end)} --rcheck --seconds 60 --reap -j {sep(end)}" for end in (ONE, TWO)
    ]
    assert rules(nat, sep(ONE))[1] == (
        f"-m recent --name {sep(ONE)} --set -m tcp -p tcp -j DNAT --to-destination 10.244.1.5:8080"
    )


def test_no_endpoints_is_refused_at_once() -> None:
    found = tables(replace(PORT, cluster_endpoints=(), has_endpoints=False))
    assert rules(found["filter"], "KUBE-SERVICES") == [f"{TO_PORTAL} -j REJECT", REJECTION]
    assert rules(found["nat"], "KUBE-SERVICES") == [NODE_PORT_JUMP]
    assert not any("KUBE-SVC-" in line for line in found["nat"])


def test_no_local_endpoint_under_policy_local_is_dropped() -> None:
    found = tables(replace(PORT, cluster_endpoints=(), internal_local=True))
    assert rules(found["filter"], "KUBE-SERVICES") == [f"{TO_PORTAL} -j DROP", REJECTION]


def test_what_nothing_serves_on_a_cluster_ip_is_rejected_after_everything_else() -> None:
    other = replace(OTHER, cluster_endpoints=(), has_endpoints=False)
    found = tables(PORT, replace(PORT, name="dns", protocol="udp", port=53), other)["filter"]
    assert rules(found, "KUBE-SERVICES") == [
        "-m tcp -p tcp -d 10.96.0.11/32 --dport 80 -j REJECT", REJECTION, "-d 10.96.0.11/32 -j REJECT",
    ]  # fmt: skip


def test_internal_policy_local_uses_the_local_chain() -> None:
    nat = tables(replace(PORT, cluster_endpoints=(), local_endpoints=(ONE,), internal_local=True))["nat"]
    assert rules(nat, "KUBE-SERVICES")[0] == f"{TO_PORTAL} -j {SVL}"
    assert rules(nat, SVL)[-1] == f"-j {sep(ONE)}"
    assert f":{SVC} - [0:0]" not in nat


def test_a_node_port_is_masqueraded_and_balanced_over_all() -> None:
    nat = tables(replace(PORT, node_port=30080))["nat"]
    assert rules(nat, "KUBE-NODEPORTS") == [f"-m tcp -p tcp --dport 30080 -j {EXT}"]
    assert rules(nat, EXT) == ["-j KUBE-MARK-MASQ", f"-j {SVC}"]
    assert rules(nat, "KUBE-SERVICES")[-1] == NODE_PORT_JUMP


def test_a_node_port_answers_on_loopback_where_that_is_switched_on() -> None:
    found = tables(replace(PORT, node_port=30080), settings=replace(SETTINGS, localhost_node_ports=True))
    assert rules(found["nat"], "KUBE-SERVICES")[-1] == "-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS"
    (guard,) = rules(found["filter"], "KUBE-FIREWALL")
    assert guard.startswith("-d 127.0.0.0/8 ! -s 127.0.0.0/8")


def test_external_policy_local_keeps_the_source_address_of_outsiders_only() -> None:
    port = replace(PORT, node_port=30080, external_local=True, cluster_endpoints=(ONE, TWO), local_endpoints=(ONE,))
    nat = tables(port)["nat"]
    assert rules(nat, EXT) == [
        f"-s 10.244.0.0/16 -j {SVC}",
        "-m addrtype --src-type LOCAL -j KUBE-MARK-MASQ",
        f"-m addrtype --src-type LOCAL -j {SVC}",
        f"-j {SVL}",
    ]
    assert rules(nat, SVL) == [f"-j {sep(ONE)}"]


def test_external_policy_local_without_a_local_endpoint_drops_outsiders() -> None:
    port = replace(PORT, node_port=30080, external_local=True, external_ips=("203.0.113.7",))
    found = tables(port)
    assert rules(found["nat"], EXT)[-1] == f"-m addrtype --src-type LOCAL -j {SVC}"
    assert rules(found["filter"], "KUBE-EXTERNAL-SERVICES") == [
        "-m tcp -p tcp -d 203.0.113.7/32 --dport 80 -j DROP",
        "-m addrtype --dst-type LOCAL -m tcp -p tcp --dport 30080 -j DROP",
    ]


def test_external_addresses_lead_to_the_external_chain() -> None:
    port = replace(PORT, external_ips=("203.0.113.7",), load_balancer_ips=("198.51.100.1",))
    assert rules(tables(port)["nat"], "KUBE-SERVICES")[1:3] == [
        f"-m tcp -p tcp -d 203.0.113.7/32 --dport 80 -j {EXT}",
        f"-m tcp -p tcp -d 198.51.100.1/32 --dport 80 -j {EXT}",
    ]


def test_external_addresses_without_endpoints_are_refused() -> None:
    port = replace(PORT, external_ips=("203.0.113.7",), node_port=30080, cluster_endpoints=(), has_endpoints=False)
    found = tables(port)
    assert rules(found["filter"], "KUBE-EXTERNAL-SERVICES") == [
        "-m tcp -p tcp -d 203.0.113.7/32 --dport 80 -j REJECT",
        "-m addrtype --dst-type LOCAL -m tcp -p tcp --dport 30080 -j REJECT",
    ]
    assert rules(found["nat"], "KUBE-NODEPORTS") == []


def test_source_ranges_let_only_their_own_through() -> None:
    port = replace(PORT, load_balancer_ips=("198.51.100.1",), source_ranges=("203.0.113.0/24",))
    found = tables(port)
    assert rules(found["nat"], "KUBE-SERVICES")[1] == f"-m tcp -p tcp -d 198.51.100.1/32 --dport 80 -j {FW}"
    assert rules(found["nat"], FW) == [f"-s 203.0.113.0/24 -j {EXT}"]
    assert rules(found["filter"], "KUBE-PROXY-FIREWALL") == ["-m tcp -p tcp -d 198.51.100.1/32 --dport 80 -j DROP"]


def test_a_health_check_port_is_let_in() -> None:
    port = replace(PORT, health_check_node_port=31000)
    assert rules(tables(port)["filter"], "KUBE-NODEPORTS") == ["-m tcp -p tcp --dport 31000 -j ACCEPT"]


def test_masquerading_follows_the_flags() -> None:
    assert rules(tables(PORT, settings=Settings())["nat"], SVC) == [f"-j {sep(ONE)}"]
    everything = tables(PORT, settings=replace(SETTINGS, masquerade_all=True))["nat"]
    assert rules(everything, SVC)[0] == f"{TO_PORTAL} -j KUBE-MARK-MASQ"
    other_bit = tables(PORT, settings=replace(SETTINGS, masquerade_bit=15))["nat"]
    assert rules(other_bit, "KUBE-MARK-MASQ") == ["-j MARK --or-mark 0x8000"]


def test_protocols_of_one_port_number_are_told_apart() -> None:
    udp = replace(PORT, protocol="udp", name="dns")
    nat = tables(PORT, udp)["nat"]
    assert "-m udp -p udp -d 10.96.0.10/32 --dport 80" in " ".join(nat)
    assert chain_name("KUBE-SVC-", udp) != SVC


def test_traffic_of_pods_is_told_by_interface_where_asked_to() -> None:
    local = replace(PORT, node_port=30080, external_local=True, local_endpoints=(ONE,))
    for interface, match in (("cbr0", "-i cbr0"), ("veth*", "-i veth+")):
        nat = tables(local, settings=Settings(local=LocalTraffic(interface=interface)))["nat"]
        assert rules(nat, SVC)[0] == f"! {match} {TO_PORTAL} -j KUBE-MARK-MASQ"
        assert rules(nat, EXT)[0] == f"{match} -j {SVC}"


def test_node_ports_answer_on_the_given_addresses_alone() -> None:
    held = ledger(PORT, node_ports_on=("172.18.0.2", "172.18.0.3"))
    nat = tables_of(restore_text(repair(held, BARE, trusted=False)))["nat"]
    assert rules(nat, "KUBE-SERVICES")[1:] == [
        "-d 172.18.0.2/32 -j KUBE-NODEPORTS", "-d 172.18.0.3/32 -j KUBE-NODEPORTS",
    ]  # fmt: skip


def test_round_robin_counts() -> None:
    nat = tables(replace(PORT, cluster_endpoints=(ONE, TWO, THREE), balance=Balance.ROUND_ROBIN))["nat"]
    assert rules(nat, SVC)[1:] == [
        f"-m statistic --mode nth --every 3 --packet 0 -j {sep(ONE)}",
        f"-m statistic --mode nth --every 2 --packet 0 -j {sep(TWO)}",
        f"-j {sep(THREE)}",
    ]


def test_least_connections_is_left_to_the_nodes_own_proxy() -> None:
    port = replace(PORT, cluster_endpoints=(ONE, TWO), balance=Balance.LEAST_CONNECTIONS)
    nat = tables(port, settings=replace(SETTINGS, relay_port=4000))["nat"]
    assert rules(nat, SVC)[1:] == ["-m tcp -p tcp -j REDIRECT --to-ports 4000"]
    assert not any(sep(ONE) in line for line in nat)
    assert rules(tables(port)["nat"], SVC)[-1] == f"-j {sep(TWO)}", "without a relay, at random"


def test_missing_jumps_are_inserted_and_present_ones_left() -> None:
    fresh = tables(PORT, installed=Installed())
    inserted = [line for lines in fresh.values() for line in lines if line.startswith("-I ")]
    assert len(inserted) == len(JUMPS)
    assert '-I PREROUTING 1 -m comment --comment "kubernetes service portals" -j KUBE-SERVICES' in inserted
    assert not any(line.startswith("-I ") for lines in tables(PORT).values() for line in lines)


def test_stale_chains_are_flushed_and_deleted_after_the_rules_that_used_them() -> None:
    nat = tables(PORT, installed=Installed({("nat", "KUBE-SVC-GONE"): 3, ("nat", SVC): 1}, ALL_JUMPS))["nat"]
    assert ":KUBE-SVC-GONE - [0:0]" in nat
    assert nat[-2:] == ["-X KUBE-SVC-GONE", "COMMIT"]


def test_a_new_service_is_inserted_beside_the_others() -> None:
    assert change([PORT], PORT) == {}
    found = change([PORT], PORT, OTHER)
    assert [line for line in found["filter"] if not line.startswith("COMMIT")] == [
        '-A KUBE-SERVICES -m comment --comment "default/api does not serve this port" -d 10.96.0.11/32 -j REJECT'
    ]
    shared = [line for line in found["nat"] if "KUBE-SERVICES" in line]
    chain = chain_name("KUBE-SVC-", OTHER)
    assert shared == [
        '-I KUBE-SERVICES 1 -m comment --comment "default/api:http cluster IP" '
        f"-m tcp -p tcp -d 10.96.0.11/32 --dport 80 -j {chain}"
    ]
    assert not any(line.startswith((f":{SVC} ", f"-A {SVC} ")) for line in found["nat"])


def test_a_removed_service_takes_its_rules_and_chains_with_it() -> None:
    nat = change([PORT, OTHER], PORT)["nat"]
    chain = chain_name("KUBE-SVC-", OTHER)
    assert any(line.startswith("-D KUBE-SERVICES ") and line.endswith(f"-j {chain}") for line in nat)
    assert sorted(nat[-3:-1]) == sorted([f"-X {chain}", f"-X {sep(ONE, OTHER)}"])


def test_a_changed_endpoint_touches_its_services_chains_alone() -> None:
    found = change([PORT, OTHER], replace(PORT, cluster_endpoints=(TWO,)), OTHER)
    assert set(found) == {"nat"}
    declared = {line.split()[0][1:] for line in found["nat"] if line.startswith(":")}
    assert declared == {SVC, sep(ONE), sep(TWO)}
    assert not any("KUBE-SERVICES" in line for line in found["nat"])
    assert f"-X {sep(ONE)}" in found["nat"]


def test_what_others_changed_is_written_anew() -> None:
    held = ledger(PORT)
    right = counts(held)

    def written(installed: Installed) -> str:
        return restore_text(repair(held, installed, trusted=True))

    assert written(Installed(right, ALL_JUMPS)) == ""
    damaged = written(Installed(right | {("nat", SVC): 1, ("nat", "KUBE-SVC-ODD"): 2}, ALL_JUMPS))
    declared = {line.split()[0] for line in damaged.splitlines() if line.startswith(":")}
    assert declared == {f":{SVC}", ":KUBE-SVC-ODD"}
    without_chain = {key: count for key, count in right.items() if key != ("nat", sep(ONE))}
    assert f":{sep(ONE)} - [0:0]" in written(Installed(without_chain, ALL_JUMPS))
    assert "-I PREROUTING 1" in written(Installed(right, ALL_JUMPS - {("nat", "PREROUTING", "KUBE-SERVICES")}))


SAVED = """\
# Generated by iptables-save v1.8.9 (nf_tables)
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER_OUTPUT - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-NPX46M4PTMTKRN6Y - [0:0]
:KUBE-KUBELET-CANARY - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT
-A OUTPUT -d 127.0.0.11/32 -p udp -j DNAT --to-destination 127.0.0.11:40000
-A KUBE-SERVICES -j KUBE-SVC-NPX46M4PTMTKRN6Y
COMMIT
*mangle
:KUBE-SERVICES - [0:0]
COMMIT
*filter
:KUBE-FORWARD - [0:0]
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -s 10.0.0.0/8 -j ACCEPT
COMMIT
"""


def test_what_is_installed_is_read_without_what_is_foreign() -> None:
    installed = parse_save(SAVED)
    assert installed.chains == {
        ("nat", "KUBE-SERVICES"): 1,
        ("nat", "KUBE-SVC-NPX46M4PTMTKRN6Y"): 0,
        ("filter", "KUBE-FORWARD"): 0,
    }
    assert installed.jumps == {("nat", "PREROUTING", "KUBE-SERVICES"), ("filter", "FORWARD", "KUBE-FORWARD")}


def test_cleanup_takes_jumps_and_chains_and_nothing_else() -> None:
    assert cleanup_texts(Installed()) == []
    (text,) = cleanup_texts(parse_save(SAVED))
    found = tables_of(text)
    assert [line for line in found["nat"] if not line.startswith(":")] == [
        '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        "-X KUBE-SERVICES", "-X KUBE-SVC-NPX46M4PTMTKRN6Y", "COMMIT",
    ]  # fmt: skip
    assert [line for line in found["filter"] if not line.startswith(":")] == [
        '-D FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD', "-X KUBE-FORWARD", "COMMIT",
    ]  # fmt: skip
    assert "mangle" not in found


def test_many_chains_are_written_and_removed_in_several_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "CHAINS_AT_ONCE", len(SHARED))
    ports = [replace(PORT, service=f"web-{number}", node_port=30000 + number) for number in range(6)]
    gone = Installed({("nat", f"KUBE-SVC-{number}"): 1 for number in range(7)})
    texts = [restore_text(writes) for writes in in_batches(repair(ledger(*ports), gone, trusted=False))]
    assert len(texts) > 5
    present: set[str] = set()
    for text in texts:
        for line in (line for lines in tables_of(text).values() for line in lines):
            if line.startswith(":"):
                present.add(line[1:].split()[0])
            elif line.startswith(("-A", "-I")) and "-j KUBE-" in line:
                assert line.rsplit(" ", 1)[1] in present, "no rule leads to a chain that is still to come"
    jumped = next(number for number, text in enumerate(texts) if "-I PREROUTING" in text)
    assert all(":KUBE-SVC-0 " not in text for text in texts[: jumped + 1])
    assert "".join(texts).count("-X ") == 7
    removed = cleanup_texts(Installed(counts(ledger(*ports))))
    assert len(removed) > 4
    assert removed[0].count("-X KUBE-SERVICES") == 2
    assert ":KUBE-FIREWALL " in removed[-1]


def test_every_jump_leads_to_a_chain_that_is_always_declared() -> None:
    for jump in JUMPS:
        assert jump.target in (NAT_CHAINS if jump.table == "nat" else FILTER_CHAINS)
