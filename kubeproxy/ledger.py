"""PURE: remembers the packet rules that each Service wants, and tells what a change adds and takes away.

A `Fragment` is what one Service brings: chains of its own, and entries in what all Services share (the rules of
KUBE-SERVICES, the elements of a verdict map). The ledger adds fragments up. A change costs what the changed fragments
have, however many others there are. Each proxy mode gives keys and texts their meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

Key = tuple[str, str]
"""The name of a chain, a set or a map, and before it the table (iptables) or what it is (nftables)."""
Entries = dict[str, str]
"""Each entry of something shared, and what the mode needs to know of it."""

BASE = ""
"""The name of the fragment that belongs to no Service."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """The rules that one Service, or the node itself, wants."""

    chains: Mapping[Key, tuple[str, ...]] = field(default_factory=dict)
    entries: Mapping[Key, Mapping[str, str]] = field(default_factory=dict)


NOTHING = Fragment()


class FragmentWriter:
    """Collects a fragment line by line."""

    def __init__(self) -> None:
        self._chains: dict[Key, list[str]] = {}
        self._entries: dict[Key, dict[str, str]] = {}

    def chain(self, key: Key, *rules: str) -> None:
        """Adds rules to a chain of its own, which is made if need be."""
        self._chains.setdefault(key, []).extend(rules)

    def entry(self, key: Key, entry: str, value: str = "") -> None:
        self._entries.setdefault(key, {})[entry] = value

    def fragment(self) -> Fragment:
        return Fragment({key: tuple(rules) for key, rules in self._chains.items()}, self._entries)


@dataclass(slots=True)
class Delta:
    """What has to change in the kernel."""

    chains: dict[Key, tuple[str, ...]] = field(default_factory=dict)
    """To be emptied and filled with these."""
    gone: list[Key] = field(default_factory=list)
    removed: dict[Key, Entries] = field(default_factory=dict)
    added: dict[Key, Entries] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.chains or self.gone or self.removed or self.added)


class Ledger:
    """Adds up fragments by the names of their owners.

    Where two owners want the same entry with different values (two Services with one external address), the first
    keeps it until it lets go.
    """

    def __init__(self) -> None:
        self._fragments: dict[str, Fragment] = {}
        self._chains: dict[Key, tuple[str, ...]] = {}
        self._entries: dict[Key, Entries] = {}
        self._holders: dict[Key, dict[str, str]] = {}
        self._waiting: dict[tuple[Key, str], dict[str, str]] = {}
        """The owners that want an entry held by another, and their values."""

    @property
    def chains(self) -> Mapping[Key, tuple[str, ...]]:
        return self._chains

    @property
    def entries(self) -> Mapping[Key, Mapping[str, str]]:
        return self._entries

    def change(self, fragments: Mapping[str, Fragment]) -> Delta:
        """Replaces the fragments of these owners; `NOTHING` for one that is gone."""
        delta = Delta()
        before: dict[tuple[Key, str], str | None] = {}
        for owner in fragments:
            self._release(owner, self._fragments.get(owner, NOTHING), fragments[owner], before)
        gone: dict[Key, None] = {}
        for owner, new in fragments.items():
            old = self._fragments.pop(owner, NOTHING)
            gone |= dict.fromkeys(key for key in old.chains if key not in new.chains)
            for key, rules in new.chains.items():
                if self._chains.get(key) != rules:
                    self._chains[key] = delta.chains[key] = rules
            for key, entry, value in _entries(new):
                self._claim(owner, key, entry, value, before)
            if new.chains or new.entries:
                self._fragments[owner] = new
        for key in gone:
            if key not in delta.chains:
                del self._chains[key]
                delta.gone.append(key)
        self._tell(before, delta)
        return delta

    def _release(self, owner: str, old: Fragment, new: Fragment, before: dict[tuple[Key, str], str | None]) -> None:
        for key, entry, value in _entries(old):
            if new.entries.get(key, {}).get(entry) == value:
                continue
            waiting = self._waiting.get((key, entry), {})
            if self._holders[key][entry] != owner:
                waiting.pop(owner)
            else:
                before.setdefault((key, entry), self._entries[key].pop(entry))
                del self._holders[key][entry]
                if waiting:
                    heir = next(iter(waiting))
                    self._hold(heir, key, entry, waiting.pop(heir))
            if not waiting:
                self._waiting.pop((key, entry), None)

    def _claim(self, owner: str, key: Key, entry: str, value: str, before: dict[tuple[Key, str], str | None]) -> None:
        holder = self._holders.get(key, {}).get(entry)
        if holder is None:
            before.setdefault((key, entry), None)
            self._hold(owner, key, entry, value)
        elif holder != owner:
            self._waiting.setdefault((key, entry), {})[owner] = value

    def _hold(self, owner: str, key: Key, entry: str, value: str) -> None:
        self._entries.setdefault(key, {})[entry] = value
        self._holders.setdefault(key, {})[entry] = owner

    def _tell(self, before: Mapping[tuple[Key, str], str | None], delta: Delta) -> None:
        for (key, entry), old in before.items():
            new = self._entries[key].get(entry)
            if new == old:
                continue
            if old is not None:
                delta.removed.setdefault(key, {})[entry] = old
            if new is not None:
                delta.added.setdefault(key, {})[entry] = new


def _entries(fragment: Fragment) -> Iterator[tuple[Key, str, str]]:
    for key, entries in fragment.entries.items():
        for entry, value in entries.items():
            yield key, entry, value
