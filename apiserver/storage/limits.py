"""Bounds of the storage's buffers and waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StorageLimits:
    fresh_seconds: float = 3.0
    """How long a reader waits for the cache to reach a revision (upstream's bound)."""
    retry_seconds: float = 0.2
    """Between attempts to reach etcd."""
    etcd_page_keys: int = 500
    """Read at a time where a list comes from etcd."""
    watcher_events: int = 2_000
    """Events a watcher may lag behind its feed; then it is closed and resumes from its last revision."""
    watcher_bytes: int = 16 << 20
    """The same, counted in values; shared by all watchers of the feed."""
    bookmark_seconds: float = 60.0
    """Between the bookmarks of a watch that asks for them."""
    compaction_seconds: float = 300.0
    """Between compactions of etcd, and the history kept at each: a list can be continued for up to twice as long."""


DEFAULT_LIMITS = StorageLimits()
