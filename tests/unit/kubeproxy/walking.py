"""Leads a packet through the rules of either mode, as text, and tells where it may end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from kubeproxy.iptables import rules as iptables
from kubeproxy.ledger import BASE, Key, Ledger
from kubeproxy.nftables import rules as nftables
from kubeproxy.settings import Mode, Settings
from kubeproxy.topology import ServicePort

NODE_ADDRESSES = ("172.18.0.2", "127.0.0.1", "fd00:18::2", "::1")
END = str | None
Chains = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Packet:
    """The first of a connection."""

    source: str
    to: str
    port: int
    protocol: str = "tcp"
    interface: str = "eth0"


def ends(mode: Mode, ports: Sequence[ServicePort], packet: Packet, settings: Settings) -> set[str]:
    """Where it may end: "10.244.1.5:8080", perhaps " masqueraded", "reject", "drop", "redirect :4000" or "pass"."""
    module = iptables if mode is Mode.IPTABLES else nftables
    ledger = Ledger()
    ledger.change({BASE: module.base_fragment(settings, None), "service": module.service_fragment(ports, settings)})
    return set((_iptables_ends if mode is Mode.IPTABLES else _nftables_ends)(ledger, packet))


def _iptables_ends(ledger: Ledger, packet: Packet) -> Iterator[str]:
    tables: dict[str, dict[str, list[str]]] = {"nat": {}, "filter": {}}
    for (table, chain), rules in ledger.chains.items():
        tables[table][chain] = list(rules)
    for (table, chain), entries in ledger.entries.items():
        tables[table][chain] = sorted(entries, key=lambda rule: entries[rule] == iptables.LAST)
    for end, marked in _Walk(tables["nat"], _iptables_step, packet).through(iptables.SERVICES):
        if end:
            yield _told(end, marked)
            continue
        checks = (iptables.EXTERNAL_SERVICES, iptables.LB_FIREWALL, iptables.SERVICES)
        walk = _Walk(tables["filter"], _iptables_step, packet)
        yield next((end for chain in checks for end, _ in walk.through(chain) if end), "pass")


def _nftables_ends(ledger: Ledger, packet: Packet) -> Iterator[str]:
    chains = {name: rules for (kind, name), rules in ledger.chains.items() if kind == nftables.CHAIN}

    def step(rule: str, packet: Packet) -> tuple[bool | None, str, str]:
        return _nftables_step(rule, packet, ledger.entries)

    walk = _Walk(chains, step, packet)
    if refused := next((end for end, _ in walk.through(nftables.FIREWALL) if end), ""):
        yield refused
        return
    for end, marked in walk.through(nftables.SERVICES):
        checks = (nftables.SERVICE_ENDPOINTS, nftables.NODE_PORT_ENDPOINTS, nftables.CLUSTER_IPS_CHECK)
        target = (end or "").rpartition(":")[0].strip("[]")
        marked |= f"{packet.source} . {target}" in _set(ledger.entries, nftables.HAIRPINS[1])
        yield _told(end, marked) if end else next((e for chain in checks for e, _ in walk.through(chain) if e), "pass")


def _told(end: str, marked: bool) -> str:
    return end + " masqueraded" * (marked and not end.startswith("redirect"))


class _Walk:
    """Follows jumps; where chance or a client's history decides, both ways are gone."""

    def __init__(self, chains: Chains, step, packet: Packet) -> None:  # type: ignore[no-untyped-def]
        self._chains, self._step, self._packet = chains, step, packet

    def through(self, chain: str) -> Iterator[tuple[END, bool]]:
        return self._run(list(self._chains.get(chain, ())), False)

    def _run(self, rules: list[str], marked: bool) -> Iterator[tuple[END, bool]]:
        if not rules:
            yield None, marked
            return
        matches, action, target = self._step(rules[0], self._packet)
        if matches is not True:
            yield from self._run(rules[1:], marked)
        if matches is False:
            return
        if action == "mark":
            yield from self._run(rules[1:], True)
        elif action == "return":
            yield None, marked
        elif action == "next":
            yield from self._run(rules[1:], marked)
        elif action in ("jump", "goto"):
            for end, still_marked in self._run(list(self._chains.get(target, ())), marked):
                if end is None and action == "jump":
                    yield from self._run(rules[1:], still_marked)
                else:
                    yield end, still_marked
        else:
            yield f"{action} {target}".strip() if action != "dnat" else target, marked


def _within(address: str, network: str) -> bool:
    return ip_address(address) in ip_network(network)


def _iptables_step(rule: str, packet: Packet) -> tuple[bool | None, str, str]:
    words = re.sub(r'-m comment --comment "[^"]*"', "", rule).split()
    matches: bool | None = True
    negated, action = False, ("next", "")
    tests = {
        "-s": lambda value: _within(packet.source, value),
        "-d": lambda value: _within(packet.to, value),
        "-i": lambda value: packet.interface.startswith(value.rstrip("+")),
        "-p": lambda value: packet.protocol == value,
        "--dport": lambda value: str(packet.port) == value,
        "--dst-type": lambda value: packet.to in NODE_ADDRESSES,
        "--src-type": lambda value: packet.source in NODE_ADDRESSES,
    }
    for word, value in zip(words, [*words[1:], ""], strict=True):
        if word in tests and tests[word](value) is negated:
            return False, "next", ""
        if word in ("statistic", "--rcheck"):
            matches = None
        negated = word == "!"
    target = words[words.index("-j") + 1]
    argument = words[-1]
    action = {
        "DNAT": ("dnat", argument), "REDIRECT": ("redirect", f":{argument}"), "REJECT": ("reject", ""),
        "DROP": ("drop", ""), "MARK": ("mark", ""), "RETURN": ("return", ""),
    }.get(target, ("jump", target))  # fmt: skip
    return matches, *action


def _nftables_step(rule: str, packet: Packet, entries: Mapping[Key, Mapping[str, str]]) -> tuple[bool | None, str, str]:
    matches: bool | None = True
    text = rule.replace("ip6 ", "ip ").removeprefix("ct state new ")
    if found := re.search(r"vmap @(\S+)", text):
        at = f"{packet.to} . " if "ip daddr ." in text else ""
        verdict = entries.get((nftables.MAP, found[1]), {}).get(f"{at}{packet.protocol} . {packet.port}", "")
        text = text.replace(found[0], verdict) if verdict else ""
        text = re.sub(r"(ip daddr \. )?meta l4proto \. th dport ", "", text)
        if not verdict:
            return False, "next", ""
    for pattern, holds in (
        (r"ip (saddr|daddr) (!= )?@(\S+)", lambda m: None if "affinity" in m[3] else packet.to in _set(entries, m[3])),
        (r"ip (saddr|daddr) (!= )?\{ ([^}]*) \}", lambda m: any(_within(_end(packet, m), n) for n in m[3].split(", "))),
        (r"ip (saddr|daddr) (!= )?([0-9a-f.:]+\S*)", lambda m: _within(_end(packet, m), m[3])),
        (r'(iifname) (!= )?"([^"]*)"', lambda m: packet.interface.startswith(m[3].rstrip("*"))),
        (r"fib (saddr|daddr) ()type local", lambda m: _end(packet, m) in NODE_ADDRESSES),
        (r"(tcp|udp|sctp) ()dport (\d+)", lambda m: (packet.protocol, str(packet.port)) == (m[1], m[3])),
        (r"meta (l4proto) ()(\S+)", lambda m: packet.protocol == m[3]),
    ):
        for match in re.finditer(pattern, text):
            held = holds(match)
            if held is None:
                matches = None
            elif held is bool(match[2]):
                return False, "next", ""
    if "numgen" in text:
        matches = None
    if "mark set" in text:
        return matches, "mark", ""
    if found := re.search(r"(goto|jump|dnat to|redirect to) (\S+)$", text):
        return matches, found[1].removesuffix(" to"), found[2]
    return matches, next((word for word in ("drop", "reject") if text.endswith(word)), "next"), ""


def _end(packet: Packet, match: re.Match[str]) -> str:
    return packet.source if match[1] == "saddr" else packet.to


def _set(entries: Mapping[Key, Mapping[str, str]], name: str) -> Mapping[str, str]:
    return entries.get((nftables.SET, name), {})
