"""The rules of a node as plain data, and the text for `nft` that turns one state of them into another. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

TABLE = "inet mini-kubernetes-policy"
ELEMENTS_PER_COMMAND = 1000
LONGEST_COMMENT = 127  # bytes, as the kernel has it
_NEIGHBOURS = (
    "nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, nd-router-advert, mld-listener-query, "
    "mld-listener-report, mld2-listener-report"
)
_BASE = (
    "type filter hook forward priority filter - 10; policy accept;",
    f"icmpv6 type {{ {_NEIGHBOURS} }} accept",  # IPv6 does not work without them
    "ct state related meta l4proto { icmp, ipv6-icmp } accept",  # errors about connections that are allowed
    "ct original ip saddr . ct reply ip saddr @self4 accept",  # a pod that reaches itself through its Service
    "ct original ip6 saddr . ct reply ip6 saddr @self6 accept",
    "jump held",
    # Of a packet that belongs to no connection conntrack knows no ends: where a pod is restricted, it is dropped.
    "ct state { invalid, untracked } ip saddr vmap @egress4",
    "ct state { invalid, untracked } ip6 saddr vmap @egress6",
    "ct state { invalid, untracked } ip daddr vmap @ingress4",
    "ct state { invalid, untracked } ip6 daddr vmap @ingress6",
    "ct original ip saddr vmap @egress4",
    "ct original ip6 saddr vmap @egress6",
    "ct reply ip saddr vmap @ingress4",
    "ct reply ip6 saddr vmap @ingress6",
)
_MAP_TYPES = {f"{direction}{family}": f"ipv{family}_addr" for direction in ("egress", "ingress") for family in "46"}


@dataclass(slots=True)
class ElementSet:
    type: str
    elements: frozenset[str] = frozenset()
    comment: str = ""


def _fixed_sets() -> dict[str, ElementSet]:
    pairs = {f"self{family}": ElementSet(f"ipv{family}_addr . ipv{family}_addr") for family in "46"}
    return pairs | {f"local{family}": ElementSet(f"ipv{family}_addr") for family in "46"}


@dataclass(slots=True)
class Ruleset:
    """What the table holds, besides what is always there."""

    sets: dict[str, ElementSet] = field(default_factory=_fixed_sets)
    chains: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"held": ()})
    maps: dict[str, dict[str, str]] = field(default_factory=lambda: {name: {} for name in _MAP_TYPES})
    """Address of a pod -> the chain that its connections go through."""


def transaction(old: Ruleset | None, new: Ruleset) -> str:
    """Returns the commands that change the table, "" if nothing is to change. Without `old` they make it anew, in
    place of what is there.

    What is referred to comes before what refers to it, and goes behind it.
    """
    lines: list[str] = []
    before = old
    if before is None:
        before = Ruleset({}, {}, {name: {} for name in _MAP_TYPES})
        lines += [f"add table {TABLE}", f"delete table {TABLE}", f"add table {TABLE}"]
        lines += [f"add map {TABLE} {name} {{ type {type} : verdict; }}" for name, type in _MAP_TYPES.items()]
    lines += _set_lines(before.sets, new.sets)
    lines += _chain_lines(before.chains, new.chains)
    if old is None:
        lines.append(f"add chain {TABLE} forward {{ {_BASE[0]} }}")
        lines += [f"add rule {TABLE} forward {rule}" for rule in _BASE[1:]]
    for name in _MAP_TYPES:
        lines += _map_lines(name, before.maps[name], new.maps[name])
    gone = before.chains.keys() - new.chains.keys()
    lines += [f"flush chain {TABLE} {name}" for name in sorted(gone)]
    lines += [f"delete chain {TABLE} {name}" for name in sorted(gone)]
    lines += [f"delete set {TABLE} {name}" for name in sorted(before.sets.keys() - new.sets.keys())]
    return "".join(f"{line}\n" for line in lines)


def removal() -> str:
    """Returns the commands that remove the table, whether it is there or not."""
    return f"add table {TABLE}\ndelete table {TABLE}\n"


def shape(ruleset: Ruleset) -> dict[str, int]:
    """Returns the names of everything in the table, with the number of rules of each chain: what can be compared with
    the kernel's at little cost."""
    names = dict.fromkeys((*ruleset.sets, *_MAP_TYPES), 0)
    return names | {name: len(rules) for name, rules in ruleset.chains.items()} | {"forward": len(_BASE) - 1}


def _set_lines(old: dict[str, ElementSet], new: dict[str, ElementSet]) -> Iterator[str]:
    for name, item in new.items():
        before = old.get(name)
        if before is None:
            comment = f' comment "{_plain(item.comment)}";' if item.comment else ""
            yield f"add set {TABLE} {name} {{ type {item.type};{comment} }}"
        elements = before.elements if before is not None else frozenset()
        if elements is not item.elements:
            yield from _element_lines("delete", name, elements - item.elements)
            yield from _element_lines("add", name, item.elements - elements)


def _chain_lines(old: dict[str, tuple[str, ...]], new: dict[str, tuple[str, ...]]) -> Iterator[str]:
    for name, rules in new.items():
        if old.get(name) == rules:
            continue
        yield f"add chain {TABLE} {name}" if name not in old else f"flush chain {TABLE} {name}"
        for rule in rules:
            yield f"add rule {TABLE} {name} {rule}"


def _map_lines(name: str, old: dict[str, str], new: dict[str, str]) -> Iterator[str]:
    changed = {address: chain for address, chain in new.items() if old.get(address) != chain}
    gone = [address for address in old if address not in new or address in changed]
    yield from _element_lines("delete", name, gone)
    yield from _element_lines("add", name, [f"{address} : jump {chain}" for address, chain in changed.items()])


def _element_lines(verb: str, name: str, elements: Iterable[str]) -> Iterator[str]:
    items = sorted(elements)
    for first in range(0, len(items), ELEMENTS_PER_COMMAND):
        some = ", ".join(items[first : first + ELEMENTS_PER_COMMAND])
        yield f"{verb} element {TABLE} {name} {{ {some} }}"


def _plain(text: str) -> str:
    return text.replace('"', "'")[:LONGEST_COMMENT]
