"""PURE: writes what `nft -f` shall do, all of it or nothing, and reads which objects a table has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson

from kubeproxy.ledger import Delta, Key, Ledger
from kubeproxy.nftables.rules import CHAIN, HOOKS, SET, TABLE, shared_types
from kubeproxy.settings import Family, Settings

ELEMENTS_PER_LINE = 500


def family_word(family: Family) -> str:
    return "ip" if family == 4 else "ip6"


def delta_text(delta: Delta, settings: Settings) -> str:
    """Returns the transaction for a change; what is gone is emptied, and deleted by `deletion_text` behind it."""
    lines = _Lines(settings.family)
    for (kind, name), rules in delta.chains.items():
        if kind == SET:
            lines.say("add set", name, f"{{ {rules[0]} ; }}")
        else:
            lines.say("add chain", name, _hook(name))
            lines.say("flush chain", name)
    for key, entries in delta.removed.items():
        lines.elements("delete", key, dict.fromkeys(entries, ""))
    for kind, name in delta.gone:
        if kind == CHAIN:
            lines.say("flush chain", name)
    for (kind, name), rules in delta.chains.items():
        if kind == CHAIN:
            for rule in rules:
                lines.say("add rule", name, rule)
    for key, entries in delta.added.items():
        lines.elements("add", key, entries)
    return lines.text()


def deletion_text(gone: Iterable[Key], family: Family) -> str:
    """Returns the transaction that deletes chains and sets that nothing refers to."""
    lines = _Lines(family)
    for kind, name in sorted(gone):  # chains first: they may refer to sets
        lines.say(f"delete {kind}", name)
    return lines.text()


def whole_text(ledger: Ledger, installed: Iterable[Key], settings: Settings) -> tuple[str, list[Key]]:
    """Returns the transaction that makes the table the ledger's, whatever it has now, and what to delete afterwards.

    `installed` names what it has. Sets of clients with affinity keep their elements.
    """
    types = shared_types(settings)
    lines = _Lines(settings.family)
    lines.add(f'add table {family_word(settings.family)} {TABLE} {{ comment "rules for kube-proxy" ; }}')
    for (kind, name), declaration in types.items():
        lines.say(f"add {kind}", name, f"{{ {declaration} ; }}")
        lines.say(f"flush {kind}", name)
    delta = Delta(
        chains=dict(ledger.chains),
        gone=[key for key in installed if key not in ledger.chains and key not in types],
        added={key: dict(entries) for key, entries in ledger.entries.items()},
    )
    return lines.text() + delta_text(delta, settings), delta.gone


def parse_names(text: str) -> list[Key]:
    """Reads `nft -j list chains` or `sets`: those of kube-proxy's table."""
    items = [(kind, item[kind]) for item in orjson.loads(text)["nftables"] for kind in (CHAIN, SET) if kind in item]
    return [(kind, entry["name"]) for kind, entry in items if entry["table"] == TABLE]


def _hook(name: str) -> str:
    return f"{{ {HOOKS[name]} ; }}" if name in HOOKS else ""


class _Lines:
    def __init__(self, family: Family) -> None:
        self._table = f"{family_word(family)} {TABLE}"
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        self._lines.append(line)

    def say(self, verb: str, name: str, rest: str = "") -> None:
        self._lines.append(f"{verb} {self._table} {name} {rest}".rstrip())

    def elements(self, verb: str, key: Key, entries: Mapping[str, str]) -> None:
        texts = [f"{entry} : {value}" if value else entry for entry, value in entries.items()]
        for start in range(0, len(texts), ELEMENTS_PER_LINE):
            self.say(f"{verb} element", key[1], f"{{ {', '.join(texts[start : start + ELEMENTS_PER_LINE])} }}")

    def text(self) -> str:
        return "".join(f"{line}\n" for line in self._lines)
