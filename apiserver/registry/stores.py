"""The registries of all kinds that are served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from apiserver.registry.store import Store


class Stores:
    def __init__(self, stores: Iterable[Store[Any]]) -> None:
        self._stores = {(store.resource.group, store.resource.plural): store for store in stores}

    def __iter__(self) -> Iterator[Store[Any]]:
        return iter(self._stores.values())

    def __len__(self) -> int:
        return len(self._stores)

    def find(self, plural: str, group: str = "") -> Store[Any]:
        """Raises: LookupError for a kind that is not served."""
        store = self._stores.get((group, plural))
        if store is None:
            raise LookupError(f"no kind has the plural {plural} in the group {group or 'core'}")
        return store
