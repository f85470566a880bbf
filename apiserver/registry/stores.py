"""The registries of all kinds that are served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from apiserver.registry.store import Store


class Stores:
    def __init__(self, stores: Iterable[Store[Any]]) -> None:
        self._all = list(stores)
        self._preferred: dict[tuple[str, str], Store[Any]] = {}
        for store in self._all:
            self._preferred.setdefault((store.resource.group, store.resource.plural), store)

    def __iter__(self) -> Iterator[Store[Any]]:
        """Yields one for each version of each kind."""
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def find(self, plural: str, group: str = "") -> Store[Any]:
        """Returns the store of the preferred version. Raises: LookupError for a kind that is not served."""
        store = self._preferred.get((group, plural))
        if store is None:
            raise LookupError(f"no kind has the plural {plural} in the group {group or 'core'}")
        return store
