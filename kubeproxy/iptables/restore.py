"""PURE: writes the `iptables-restore --noflush` text that leads from the chains as they are to the desired ones.

A declared user chain (`:CHAIN - [0:0]`) is flushed by the restore and then filled. In chains that Services share,
single rules are inserted and deleted. Chains of services that are gone are flushed and deleted in the same transaction.
Built-in chains only get the jumps that are missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from kubeproxy.iptables.rules import (
    EXTERNAL_SERVICES,
    FILTER_CHAINS,
    FORWARD,
    LAST,
    LB_FIREWALL,
    LOCALNET_FIREWALL,
    NAT_CHAINS,
    NODE_PORTS,
    POSTROUTING,
    SERVICE_CHAIN_PREFIXES,
    SERVICES,
    SHARED,
)
from kubeproxy.ledger import Delta, Key, Ledger

TABLES = ("nat", "filter")
CHAINS_AT_ONCE = 2000


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

    chains: Mapping[Key, int] = field(default_factory=dict)
    """The number of rules in each chain."""
    jumps: frozenset[tuple[str, str, str]] = frozenset()
    """(table, built-in chain, target)."""
    jump_rules: tuple[tuple[str, str], ...] = ()
    """(table, rule as iptables-save prints it, without "-A "), for `cleanup_text`."""


@dataclass(frozen=True, slots=True)
class Writes:
    """What one run of `iptables-restore` shall do."""

    delta: Delta
    missing_jumps: tuple[Jump, ...] = ()


def repair(ledger: Ledger, installed: Installed, *, trusted: bool) -> Writes:
    """Returns what makes the kernel's rules those of the ledger.

    `trusted`: the kernel had them once, so a chain of as many rules as it should have is right. Chains that others
    emptied, filled or deleted are written anew, with every entry.
    """
    delta = Delta()
    wanted = {key: tuple(sorted(entries, key=lambda rule: entries[rule] == LAST)) for key, entries in _shared(ledger)}
    wanted |= ledger.chains
    for key, rules in wanted.items():
        if not trusted or installed.chains.get(key) != len(rules):
            delta.chains[key] = rules
    delta.gone = [key for key in installed.chains if key not in wanted]
    missing = (jump for jump in JUMPS if (jump.table, jump.chain, jump.target) not in installed.jumps)
    return Writes(delta, tuple(missing))


def in_batches(writes: Writes) -> list[Writes]:
    """Splits what has many chains: the time of one run grows with their square (10,000 Services: minutes).

    First the chains of one owner, those first that others lead to; then, in one run, all that leads to them; last what
    is gone. So between two runs every rule leads to where it did before, or does afterwards.
    """
    delta = writes.delta
    own = sorted(delta.chains.keys() - SHARED, key=_rank)
    if len(own) + len(delta.gone) <= CHAINS_AT_ONCE:
        return [writes]
    shared = {key: rules for key, rules in delta.chains.items() if key in SHARED}
    return [
        *(Writes(Delta(chains={key: delta.chains[key] for key in part})) for part in _parts(own)),
        replace(writes, delta=Delta(shared, [], delta.removed, delta.added)),
        *(Writes(Delta(gone=part)) for part in _parts(sorted(delta.gone, key=_rank, reverse=True))),
    ]


def _rank(key: Key) -> tuple[int, Key]:
    """Orders chains so that each leads only to those of a lower rank."""
    kinds = len(SERVICE_CHAIN_PREFIXES)
    if key in SHARED:
        return kinds + 1, key
    return next((rank for rank, prefix in enumerate(SERVICE_CHAIN_PREFIXES, 1) if key[1].startswith(prefix)), 0), key


def _parts(keys: list[Key]) -> Iterator[list[Key]]:
    for start in range(0, len(keys), CHAINS_AT_ONCE):
        yield keys[start : start + CHAINS_AT_ONCE]


def _shared(ledger: Ledger) -> Iterator[tuple[Key, Mapping[str, str]]]:
    for key in SHARED:
        yield key, ledger.entries.get(key, {})


def parse_save(text: str) -> Installed:
    """Reads `iptables-save` output; foreign chains and rules are skipped."""
    chains: dict[Key, int] = {}
    jumps: set[tuple[str, str, str]] = set()
    rules: list[tuple[str, str]] = []
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":KUBE-"):
            chain = line[1:].split(" ", 1)[0]
            if is_ours(table, chain):
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


def is_ours(table: str, chain: str) -> bool:
    """Tells whether a chain is one of kube-proxy's own."""
    if table == "nat":
        return chain in NAT_CHAINS or chain.startswith(SERVICE_CHAIN_PREFIXES)
    return table == "filter" and chain in FILTER_CHAINS


def restore_text(writes: Writes) -> str:
    """Returns the input for one run of `iptables-restore --noflush`, a transaction a table; "" when nothing changes."""
    return "".join(_table_text(table, writes) for table in TABLES)


def _table_text(table: str, writes: Writes) -> str:
    delta = writes.delta
    filled = {chain: rules for (owner, chain), rules in delta.chains.items() if owner == table}
    gone = [chain for owner, chain in delta.gone if owner == table]
    # Inserted at the head one after the other, so the last of the list is inserted first.
    lines = [
        f"-I {jump.chain} 1 {jump.arguments} -j {jump.target}"
        for jump in reversed(writes.missing_jumps) if jump.table == table
    ]  # fmt: skip
    lines += [
        f"-D {chain} {rule}"
        for (owner, chain), rules in delta.removed.items() if owner == table for rule in rules
    ]  # fmt: skip
    lines += [
        f"-A {chain} {rule}" if side == LAST else f"-I {chain} 1 {rule}"
        for (owner, chain), rules in delta.added.items() if owner == table for rule, side in rules.items()
    ]  # fmt: skip
    lines += [f"-A {chain} {rule}" for chain, rules in filled.items() for rule in rules]
    lines += [f"-X {chain}" for chain in gone]
    if not (lines or filled):
        return ""
    return "\n".join([f"*{table}", *(f":{chain} - [0:0]" for chain in (*filled, *gone)), *lines, "COMMIT"]) + "\n"


def cleanup_texts(installed: Installed) -> list[str]:
    """Returns the texts that remove, one after the other, every jump and chain of ours; none when there are none."""
    texts = []
    own = sorted(installed.chains, key=_rank, reverse=True)
    jumps = {table: [f"-D {rule}" for owner, rule in installed.jump_rules if owner == table] for table in TABLES}
    for part in list(_parts(own)) or [[]]:
        text = ""
        for table in TABLES:
            chains = [chain for owner, chain in part if owner == table]
            if chains or jumps[table]:
                lines = [
                    *(f":{chain} - [0:0]" for chain in chains),
                    *jumps.pop(table, []),
                    *(f"-X {c}" for c in chains),
                ]
                text += "\n".join([f"*{table}", *lines, "COMMIT"]) + "\n"
                jumps[table] = []
        if text:
            texts.append(text)
    return texts
