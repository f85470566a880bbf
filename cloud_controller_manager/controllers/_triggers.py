"""Wakes controllers when something has changed in the cloud."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from kubeclient.controller import Source
from kubeclient.workqueue import WorkQueue


def cloud_changes(keys: Callable[[Any], Iterable[str]]) -> Source[Any]:
    """Adds the keys that `keys(reconciler)` gives whenever the reconciler's `provider` has changed."""

    async def follow(reconciler: Any, queue: WorkQueue) -> None:
        def add() -> None:
            for key in keys(reconciler):
                queue.add(key)

        reconciler.provider.on_change(add)
        await asyncio.Future()

    return Source(follow)


def node_changes() -> Source[Any]:
    """Adds the names of all of the reconciler's `nodes` whenever the cloud has changed."""
    return cloud_changes(lambda reconciler: [node.name for node in reconciler.nodes.list()])
