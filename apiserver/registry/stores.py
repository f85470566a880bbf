"""The registries of all kinds that are served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from apiserver.registry.store import Store


class Stores:
    def __init__(self, stores: Iterable[Store[Any]]) -> None:
        self._all: dict[tuple[str, str, str], Store[Any]] = {}
        self._preferred: dict[tuple[str, str], Store[Any]] = {}
        for store in stores:
            self.add(store)

    def add(self, store: Store[Any]) -> None:
        """Adds a kind; the versions of one come in the order of preference."""
        resource = store.resource
        self._all[(resource.group, resource.plural, resource.version)] = store
        self._preferred.setdefault((resource.group, resource.plural), store)

    def remove(self, store: Store[Any]) -> None:
        resource = store.resource
        del self._all[(resource.group, resource.plural, resource.version)]
        if self._preferred.get((resource.group, resource.plural)) is store:
            del self._preferred[(resource.group, resource.plural)]

    def __iter__(self) -> Iterator[Store[Any]]:
        """Yields one for each version of each kind."""
        return iter(self._all.values())

    def __len__(self) -> int:
        return len(self._all)

    def find(self, plural: str, group: str = "") -> Store[Any]:
        """Returns the store of the preferred version. Raises: LookupError for a kind that is not served."""
        store = self._preferred.get((group, plural))
        if store is None:
            raise LookupError(f"no kind has the plural {plural} in the group {group or 'core'}")
        return store
