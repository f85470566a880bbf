"""One resource's objects in memory, in etcd's order of keys, with the ring of their recent changes."""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Callable
from typing import Any

from apimachinery.meta import Object
from apimachinery.resource import Resource
from apiserver.storage.cache.describe import Describer
from apiserver.storage.cache.ring import Ring, TableChange
from apiserver.storage.cache.selection import Selection
from apiserver.storage.interface import ADDED, DELETED, MODIFIED, Compacted, Entry
from apiserver.storage.splice import replace_revision, with_revision

ROOT = "/registry/"

# Upstream's own groups, whose keys it does not qualify by the group; so are all that end in ".k8s.io" without a dot
# in what stands before.
_PLAIN_GROUPS = frozenset(["", "apps", "autoscaling", "batch", "policy"])
_OWN_GROUP = re.compile(r"([a-z0-9-]+|rbac\.authorization|(flowcontrol|internal)\.apiserver)\.k8s\.io")


def storage_prefix(resource: Resource[Any]) -> str:
    """ "pods", "services/specs", "example.com/widgets": what follows /registry/, without slashes around."""
    if resource.storage_prefix:
        return resource.storage_prefix.strip("/")
    own = resource.group in _PLAIN_GROUPS or _OWN_GROUP.fullmatch(resource.group)
    return resource.plural if own else f"{resource.group}/{resource.plural}"


class Table:
    """Everything of one resource as of the cache's revision; `changed` is the revision of its own last change."""

    def __init__(self, resource: Resource[Any]) -> None:
        self.resource = resource
        self.prefix = f"{ROOT}{storage_prefix(resource)}/"
        self.entries: dict[str, Entry] = {}
        self.keys: list[str] = []
        self.changed = 0
        self.ring = Ring(0)
        self.listeners: list[Callable[[], None]] = []
        """Called after each change of the table."""
        self._describer = Describer(resource)

    def key(self, namespace: str, name: str) -> str:
        return f"{self.prefix}{namespace}/{name}" if self.resource.namespaced else self.prefix + name

    def span(self, namespace: str) -> tuple[str, str]:
        """Returns the range of keys [first, last) of a namespace, or of all ("")."""
        start = f"{self.prefix}{namespace}/" if namespace and self.resource.namespaced else self.prefix
        return start, start[:-1] + "0"  # "0" is the character after "/"

    def keys_in(self, namespace: str) -> list[str]:
        first, last = self.span(namespace)
        return self.keys[bisect_left(self.keys, first) : bisect_left(self.keys, last)]

    def make_entry(self, key: str, raw: bytes, revision: int, obj: Object | None = None) -> Entry:
        """Makes the entry of a value as etcd holds it. Raises: ValueError if it is not an encoded object."""
        namespace, _, name = key[len(self.prefix) :].rpartition("/")
        labels, fields = self._describer.describe(raw, obj)
        previous = self.entries.get(key)
        if previous is not None:  # the strings of a key are kept once
            key, namespace, name = previous.key, previous.namespace, previous.name
        return Entry(key, namespace, name, revision, with_revision(raw, revision), labels, fields)

    def load(self, entries: list[Entry], revision: int) -> None:
        """Replaces everything; `entries` in order of keys, as of `revision`. Earlier revisions can't be resumed."""
        self.entries = {entry.key: entry for entry in entries}
        self.keys = [entry.key for entry in entries]
        self.changed = revision
        self.ring = Ring(revision)
        self._notify()

    def put(self, entry: Entry) -> TableChange:
        previous = self.entries.get(entry.key)
        if previous is None:
            insort(self.keys, entry.key)
        self.entries[entry.key] = entry
        return self._changed(TableChange(MODIFIED if previous else ADDED, entry, entry.revision, previous))

    def remove(self, key: str, revision: int) -> TableChange | None:
        """Removes an object; the change has its last state under the revision of the deletion."""
        previous = self.entries.pop(key, None)
        if previous is None:
            return None
        del self.keys[bisect_left(self.keys, key)]
        last = previous.at(revision, replace_revision(previous.value, revision))
        return self._changed(TableChange(DELETED, last, revision, previous))

    def _changed(self, change: TableChange) -> TableChange:
        self.changed = change.revision
        self.ring.append(change)
        self._notify()
        return change

    def _notify(self) -> None:
        for listener in self.listeners:
            listener()

    def reaches_back_to(self, revision: int) -> bool:
        """Tells whether the state at `revision` can be told from memory."""
        return revision >= self.ring.oldest

    def page(
        self, selection: Selection, start: str, limit: int, revision: int | None = None
    ) -> tuple[list[Entry], str, int | None]:
        """Returns (entries in order of keys from `start`, the key to continue with or "", how many follow if known).

        `limit` 0 takes all. With `revision` the table is read as it was then, undoing what the ring has after it.
        Raises: Compacted when the ring does not reach back that far.
        """
        first, last = self.span(selection.namespace)
        first = max(first, start)
        if revision is None or revision >= self.changed:
            low, high = bisect_left(self.keys, first), bisect_left(self.keys, last)
            rows, keys = self.entries, self.keys[low:high]
        else:
            rows, keys = self._as_of(revision, first, last)
        return _take(rows, keys, selection, limit)

    def _as_of(self, revision: int, first: str, last: str) -> tuple[dict[str, Entry], list[str]]:
        rows = {
            key: self.entries[key] for key in self.keys[bisect_left(self.keys, first) : bisect_left(self.keys, last)]
        }
        if not self.reaches_back_to(revision):
            raise Compacted(f"too old resource version: {revision} ({self.ring.oldest})")
        for change in reversed(self.ring.after(revision)):
            key = change.entry.key
            if first <= key < last:
                if change.previous is None:
                    rows.pop(key, None)
                else:
                    rows[key] = change.previous
        return rows, sorted(rows)


def _take(
    rows: dict[str, Entry], keys: list[str], selection: Selection, limit: int
) -> tuple[list[Entry], str, int | None]:
    if not selection.selective:
        page = [rows[key] for key in (keys[:limit] if limit else keys)]
        left = len(keys) - len(page)
        return page, page[-1].key + "\0" if left else "", left
    page = []
    for key in keys:
        entry = rows[key]
        if selection.selects(entry):
            if limit and len(page) == limit:
                return page, page[-1].key + "\0", None
            page.append(entry)
    return page, "", None
