"""PURE: writes the `iptables-restore --noflush` text that leads from the chains as they are to the desired ones.

A declared user chain (`:CHAIN - [0:0]`) is flushed by the restore and then filled; chains that are right already are
left out, which keeps a sync cheap where thousands of services don't change. Chains of services that are gone are
flushed and deleted in the same transaction. Built-in chains only get the jumps that are missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubeproxy.rules import (
    EXTERNAL_SERVICES,
    FILTER_CHAINS,
    FORWARD,
    LB_FIREWALL,
    LOCALNET_FIREWALL,
    NAT_CHAINS,
    NODE_PORTS,
    POSTROUTING,
    SERVICE_CHAIN_PREFIXES,
    SERVICES,
    ChainKey,
    Chains,
)

TABLES = ("nat", "filter")


@dataclass(frozen=True, slots=True)
class Jump:
    """One rule in a built-in chain that leads to ours."""

    table: str
    chain: str
    target: str
    arguments: str


_NEW = "-m conntrack --ctstate NEW"
_PORTALS = '-m comment --comment "kubernetes service portals"'
_EXTERNAL_PORTALS = '-m comment --comment "kubernetes externally-visible service portals"'
_LB_FIREWALL = '-m comment --comment "kubernetes load balancer firewall"'

JUMPS = (
    Jump("nat", "PREROUTING", SERVICES, _PORTALS),
    Jump("nat", "OUTPUT", SERVICES, _PORTALS),
    Jump("nat", "POSTROUTING", POSTROUTING, '-m comment --comment "kubernetes postrouting rules"'),
    Jump("filter", "INPUT", EXTERNAL_SERVICES, f"{_NEW} {_EXTERNAL_PORTALS}"),
    Jump("filter", "INPUT", NODE_PORTS, '-m comment --comment "kubernetes health check service ports"'),
    Jump("filter", "INPUT", LB_FIREWALL, f"{_NEW} {_LB_FIREWALL}"),
    Jump("filter", "INPUT", LOCALNET_FIREWALL, '-m comment --comment "kubernetes localnet firewall"'),
    Jump("filter", "FORWARD", EXTERNAL_SERVICES, f"{_NEW} {_EXTERNAL_PORTALS}"),
    Jump("filter", "FORWARD", SERVICES, f"{_NEW} {_PORTALS}"),
    Jump("filter", "FORWARD", FORWARD, '-m comment --comment "kubernetes forwarding rules"'),
    Jump("filter", "FORWARD", LB_FIREWALL, f"{_NEW} {_LB_FIREWALL}"),
    Jump("filter", "OUTPUT", SERVICES, f"{_NEW} {_PORTALS}"),
    Jump("filter", "OUTPUT", LB_FIREWALL, f"{_NEW} {_LB_FIREWALL}"),
)


ALL_JUMPS = frozenset((jump.table, jump.chain, jump.target) for jump in JUMPS)


@dataclass(frozen=True, slots=True)
class Installed:
    """Our part of what is in the kernel, from `iptables-save`."""

    chains: Mapping[ChainKey, int] = field(default_factory=dict)
    """The number of rules in each chain."""
    jumps: frozenset[tuple[str, str, str]] = frozenset()
    """(table, built-in chain, target)."""
    jump_rules: tuple[tuple[str, str], ...] = ()
    """(table, rule as iptables-save prints it, without "-A "), for `cleanup_text`."""


@dataclass(frozen=True, slots=True)
class Current:
    """Our knowledge of the kernel's state: the rules of each chain, or None where we did not write them."""

    chains: Mapping[ChainKey, tuple[str, ...] | None] = field(default_factory=dict)
    jumps: frozenset[tuple[str, str, str]] = frozenset()


def checked(current: Current, installed: Installed) -> Current:
    """Returns what still holds of `current`: chains that others emptied, filled or deleted count as unknown."""
    chains: dict[ChainKey, tuple[str, ...] | None] = {}
    for key, count in installed.chains.items():
        rules = current.chains.get(key)
        chains[key] = rules if rules is not None and len(rules) == count else None
    return Current(chains, installed.jumps)


def parse_save(text: str) -> Installed:
    """Reads `iptables-save` output; foreign chains and rules are skipped."""
    chains: dict[ChainKey, int] = {}
    jumps: set[tuple[str, str, str]] = set()
    rules: list[tuple[str, str]] = []
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":KUBE-"):
            chain = line[1:].split(" ", 1)[0]
            if _is_ours(table, chain):
                chains[table, chain] = 0
        elif line.startswith("-A "):
            chain = line[3:].split(" ", 1)[0]
            if (table, chain) in chains:
                chains[table, chain] += 1
                continue
            words = line.split()
            target = words[words.index("-j") + 1] if "-j" in words[:-1] else ""
            if (table, chain, target) in ALL_JUMPS:
                jumps.add((table, chain, target))
                rules.append((table, line[3:]))
    return Installed(chains, frozenset(jumps), tuple(rules))


def _is_ours(table: str, chain: str) -> bool:
    if table == "nat":
        return chain in NAT_CHAINS or chain.startswith(SERVICE_CHAIN_PREFIXES)
    return table == "filter" and chain in FILTER_CHAINS


def restore_text(desired: Chains, current: Current) -> str:
    """Returns the input for one run of `iptables-restore --noflush`, a transaction a table; "" when nothing changes."""
    return "".join(_table_text(table, desired, current) for table in TABLES)


def _table_text(table: str, desired: Chains, current: Current) -> str:
    changed = {
        chain: rules for (owner, chain), rules in desired.items()
        if owner == table and current.chains.get((owner, chain)) != rules
    }  # fmt: skip
    stale = sorted(chain for owner, chain in current.chains if owner == table and (owner, chain) not in desired)
    missing = [
        jump for jump in JUMPS if jump.table == table and (table, jump.chain, jump.target) not in current.jumps
    ]  # fmt: skip
    if not (changed or stale or missing):
        return ""
    lines = [f"*{table}", *(f":{chain} - [0:0]" for chain in (*changed, *stale))]
    # Inserted at the head one after the other, so the last of the list is inserted first.
    lines += [f"-I {jump.chain} 1 {jump.arguments} -j {jump.target}" for jump in reversed(missing)]
    lines += [f"-A {chain} {rule}" for chain, rules in changed.items() for rule in rules]
    lines += [f"-X {chain}" for chain in stale]
    return "\n".join([*lines, "COMMIT"]) + "\n"


def cleanup_text(installed: Installed) -> str:
    """Returns the text that removes every jump and chain of ours; "" when there are none."""
    text = ""
    for table in TABLES:
        chains = sorted(chain for owner, chain in installed.chains if owner == table)
        deletions = [f"-D {rule}" for owner, rule in installed.jump_rules if owner == table]
        if chains or deletions:
            flushes = [f":{chain} - [0:0]" for chain in chains]
            removals = [f"-X {chain}" for chain in chains]
            text += "\n".join([f"*{table}", *flushes, *deletions, *removals, "COMMIT"]) + "\n"
    return text
