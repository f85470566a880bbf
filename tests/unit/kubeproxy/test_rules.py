"""The text that iptables-restore gets."""

from __future__ import annotations

import re
from dataclasses import replace

from kubeproxy.restore import (
    ALL_JUMPS,
    JUMPS,
    Current,
    Installed,
    checked,
    cleanup_text,
    parse_save,
    restore_text,
)
from kubeproxy.rules import FILTER_CHAINS, NAT_CHAINS, Chains, Settings, chain_name, desired_chains
from kubeproxy.topology import Endpoint, ServicePort

SETTINGS = Settings(cluster_cidr="10.244.0.0/16")
EMPTY = Current(jumps=ALL_JUMPS)
ONE, TWO, THREE = (Endpoint(f"10.244.1.{n}", 8080, True) for n in (5, 6, 7))
PORT = ServicePort("default", "web", "http", "tcp", "10.96.0.10", 80, cluster_endpoints=(ONE,), has_endpoints=True)


def wanted(*ports: ServicePort, settings: Settings = SETTINGS) -> Chains:
    return desired_chains(ports, settings)


def text(*ports: ServicePort, settings: Settings = SETTINGS, current: Current = EMPTY) -> str:
    return restore_text(desired_chains(ports, settings), current)


def tables(*ports: ServicePort, settings: Settings = SETTINGS, current: Current = EMPTY) -> dict[str, list[str]]:
    """Table -> its lines."""
    found: dict[str, list[str]] = {}
    for line in text(*ports, settings=settings, current=current).splitlines():
        if line.startswith("*"):
            lines = found.setdefault(line[1:], [])
        else:
            lines.append(line)
    return found


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


def test_the_whole_text_for_one_service() -> None:
    assert (
        text(PORT)
        == f"""\
*nat
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
:{SVC} - [0:0]
:{sep(ONE)} - [0:0]
-A KUBE-SERVICES -m comment --comment "default/web:http cluster IP" {TO_PORTAL} -j {SVC}
-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" \
! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A {SVC} -m comment --comment "default/web:http cluster IP" ! -s 10.244.0.0/16 {TO_PORTAL} -j KUBE-MARK-MASQ
-A {SVC} -m comment --comment "default/web:http -> 10.244.1.5:8080" -j {sep(ONE)}
-A {sep(ONE)} -m comment --comment "default/web:http" -s 10.244.1.5/32 -j KUBE-MARK-MASQ
-A {sep(ONE)} -m comment --comment "default/web:http" -m tcp -p tcp -j DNAT --to-destination 10.244.1.5:8080
COMMIT
*filter
:KUBE-SERVICES - [0:0]
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-FIREWALL - [0:0]
-A KUBE-SERVICES -m comment --comment "default/web does not serve this port" -d 10.96.0.10/32 -j REJECT
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" \
-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
"""
    )


def test_the_rules_do_not_depend_on_the_order_of_the_ports() -> None:
    other = replace(PORT, service="api", cluster_ip="10.96.0.11")
    assert wanted(PORT, other) == wanted(other, PORT)


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
    other = replace(PORT, service="api", cluster_ip="10.96.0.11", cluster_endpoints=(), has_endpoints=False)
    found = tables(PORT, replace(PORT, name="dns", protocol="udp", port=53), other)["filter"]
    assert rules(found, "KUBE-SERVICES") == [
        "-m tcp -p tcp -d 10.96.0.11/32 --dport 80 -j REJECT", "-d 10.96.0.11/32 -j REJECT", REJECTION,
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


def test_missing_jumps_are_inserted_and_present_ones_left() -> None:
    fresh = tables(PORT, current=Current())
    inserted = [line for lines in fresh.values() for line in lines if line.startswith("-I ")]
    assert len(inserted) == len(JUMPS)
    assert '-I PREROUTING 1 -m comment --comment "kubernetes service portals" -j KUBE-SERVICES' in inserted
    assert not any(line.startswith("-I ") for lines in tables(PORT).values() for line in lines)


def test_stale_chains_are_flushed_and_deleted_after_the_rules_that_used_them() -> None:
    current = Current({("nat", "KUBE-SVC-GONE"): None, ("nat", SVC): None}, ALL_JUMPS)
    nat = tables(PORT, current=current)["nat"]
    assert ":KUBE-SVC-GONE - [0:0]" in nat
    assert nat[-2:] == ["-X KUBE-SVC-GONE", "COMMIT"]
    assert not any("KUBE-SVC-GONE" in line for line in tables(PORT, current=current)["filter"])


def test_what_is_right_already_is_left_out() -> None:
    current = Current(wanted(PORT), ALL_JUMPS)
    assert text(PORT, current=current) == ""
    other = replace(PORT, service="api", cluster_ip="10.96.0.11")
    changed = tables(PORT, other, current=current)
    assert rules(changed["filter"], "KUBE-SERVICES")[1:] == [REJECTION], "its last rules are one for each address"
    assert not any(line.startswith((f":{SVC} ", f"-A {SVC} ")) for line in changed["nat"])
    assert len([line for line in changed["nat"] if line.startswith(":")]) == 3  # KUBE-SERVICES, and its own two


def test_a_changed_endpoint_touches_its_services_chains_alone() -> None:
    current = Current(wanted(PORT), ALL_JUMPS)
    nat = tables(replace(PORT, cluster_endpoints=(TWO,)), current=current)["nat"]
    declared = {line.split()[0][1:] for line in nat if line.startswith(":")}
    assert declared == {SVC, sep(ONE), sep(TWO)}
    assert f"-X {sep(ONE)}" in nat


def test_what_others_changed_is_written_anew() -> None:
    current = Current(wanted(PORT), ALL_JUMPS)
    counts = {key: len(chain_rules) for key, chain_rules in current.chains.items() if chain_rules is not None}
    assert checked(current, Installed(counts, ALL_JUMPS)) == current
    damaged = checked(current, Installed(counts | {("nat", SVC): 1, ("nat", "KUBE-SVC-ODD"): 2}, ALL_JUMPS))
    assert (damaged.chains["nat", SVC], damaged.chains["nat", "KUBE-SVC-ODD"]) == (None, None)
    assert {line.split()[0] for line in text(PORT, current=damaged).splitlines() if line.startswith(":")} == {
        f":{SVC}",
        ":KUBE-SVC-ODD",
    }
    without_chain = {key: count for key, count in counts.items() if key != ("nat", sep(ONE))}
    assert f":{sep(ONE)} - [0:0]" in text(PORT, current=checked(current, Installed(without_chain, ALL_JUMPS)))
    without_jump = Installed(counts, ALL_JUMPS - {("nat", "PREROUTING", "KUBE-SERVICES")})
    assert "-I PREROUTING 1" in text(PORT, current=checked(current, without_jump))


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
    assert (
        cleanup_text(parse_save(SAVED))
        == """\
*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-NPX46M4PTMTKRN6Y - [0:0]
-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-X KUBE-SERVICES
-X KUBE-SVC-NPX46M4PTMTKRN6Y
COMMIT
*filter
:KUBE-FORWARD - [0:0]
-D FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-X KUBE-FORWARD
COMMIT
"""
    )
    assert cleanup_text(Installed()) == ""


def test_every_jump_leads_to_a_chain_that_is_always_declared() -> None:
    for jump in JUMPS:
        assert jump.target in (NAT_CHAINS if jump.table == "nat" else FILTER_CHAINS)
