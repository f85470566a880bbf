"""Follows the objects of a kind in the watch cache, for what is worked out from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Protocol

from apimachinery.resource import Resource
from apiserver.storage.cache.ring import TableChange
from apiserver.storage.interface import Compacted, Entry

NOT_LOADED = -1  # before every revision: the changes since then are never at hand


class Changes(Protocol):
    """The part of `CachedStorage` that is followed."""

    def changed(self, resource: Resource[Any]) -> int: ...

    def changes(self, resource: Resource[Any], after: int) -> Iterable[TableChange]: ...

    def snapshot(self, resource: Resource[Any]) -> Iterable[Entry]: ...


class Follower(ABC):
    """Call `follow` before each question: it takes what has changed since the last one."""

    def __init__(self, storage: Changes, resource: Resource[Any]) -> None:
        self._storage, self._resource = storage, resource
        self._revision = NOT_LOADED

    def follow(self) -> None:
        changed = self._storage.changed(self._resource)
        if changed == self._revision:
            return
        try:
            for change in self._storage.changes(self._resource, self._revision):
                self.take(change)
        except Compacted:
            self.clear()
            for entry in self._storage.snapshot(self._resource):
                self.put(entry)
        self._revision = changed

    @abstractmethod
    def clear(self) -> None: ...

    @abstractmethod
    def put(self, entry: Entry) -> None:
        """Takes an object that has not been there before."""

    @abstractmethod
    def take(self, change: TableChange) -> None: ...
