"""One resource's objects in memory, in etcd's order of keys, with the ring of their recent changes.

Objects that can't be decrypted are known by key alone: who asks for one of them gets an error, and nobody is told that
it is gone.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from typing import Any

from apimachinery.meta import Object
from apimachinery.resource import Resource
from apimachinery.splice import replace_revision, with_revision, without_revision
from apiserver.storage.cache.describe import Describer
from apiserver.storage.cache.ring import Ring, TableChange
from apiserver.storage.cache.selection import Selection
from apiserver.storage.interface import ADDED, DELETED, MODIFIED, Compacted, Entry, UnreadableObject
from apiserver.storage.transform import ENCRYPTED, TransformError, ValueTransformer

ROOT = "/registry/"

RECOVERIES = 1 << 16  # that `Table.state` tells apart

_NOTHING = (b"", None)

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

    transformer: ValueTransformer | None = None
    """None for a resource whose values are stored as they are."""

    def __init__(self, resource: Resource[Any]) -> None:
        self.resource = resource
        self.storage_prefix = storage_prefix(resource)
        self.prefix = f"{ROOT}{self.storage_prefix}/"
        self.entries: dict[str, Entry] = {}
        self.keys: list[str] = []
        self.unreadable: dict[str, str] = {}
        """Keys of objects that can't be read, and why."""
        self.changed = 0
        self.loaded = 0
        """The revision at which it was read. It has all changes up to this one."""
        self.sending: dict[str, tuple[bytes, Object | None]] = {}
        """The writes under way, encoded and decoded: their events may come before their answers."""
        self._recoveries = 0
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

    def stored(self, key: str, raw: bytes) -> bytes:
        """Returns the bytes to store for an encoded object."""
        return raw if self.transformer is None else self.transformer.to_storage(key, raw)

    def is_stale(self, key: str, stored: bytes) -> bool:
        """Tells whether a write should refresh what is stored, as it is encrypted in another way than is asked for.

        Raises: UnreadableObject.
        """
        return self._open(key, stored)[1]

    def read_entry(self, key: str, stored: bytes, revision: int) -> Entry:
        """Makes the entry of what etcd holds.

        Raises: UnreadableObject; ValueError if it is not an encoded object.
        """
        raw = self._open(key, stored)[0]
        sent, obj = self.sending.get(key, _NOTHING)
        return self.make_entry(key, raw, revision, obj if sent == raw else None)

    def _open(self, key: str, stored: bytes) -> tuple[bytes, bool]:
        """Returns the object as it is shown, and whether a write should refresh what is stored."""
        raw, is_stale = self._decrypt(key, stored)
        if self.resource.schema is None or self.sending.get(key, _NOTHING)[0] == raw:
            return raw, is_stale
        current = self.resource.schema.read(raw)
        return current, is_stale or current != raw

    def _decrypt(self, key: str, stored: bytes) -> tuple[bytes, bool]:
        if self.transformer is not None:
            try:
                return self.transformer.from_storage(key, stored)
            except TransformError as error:
                raise UnreadableObject(str(error)) from None
        if stored.startswith(ENCRYPTED):
            raise UnreadableObject("identity transformer tried to read encrypted data")
        return stored, False

    def make_entry(self, key: str, raw: bytes, revision: int, obj: Object | None = None) -> Entry:
        """Makes the entry of an encoded object. Raises: ValueError if it is none."""
        namespace, _, name = key[len(self.prefix) :].rpartition("/")
        labels, fields = self._describer.describe(raw, obj)
        previous = self.entries.get(key)
        if previous is not None:  # the strings of a key are kept once
            key, namespace, name = previous.key, previous.namespace, previous.name
        return Entry(key, namespace, name, revision, with_revision(raw, revision), labels, fields)

    def load(self, entries: list[Entry], revision: int, unreadable: dict[str, str] | None = None) -> None:
        """Replaces everything; `entries` in order of keys, as of `revision`. Earlier revisions can't be resumed."""
        self.entries = {entry.key: entry for entry in entries}
        self.keys = [entry.key for entry in entries]
        self.unreadable = unreadable or {}
        self.loaded = revision
        self._begin_anew(revision)

    def redefine(self, resource: Resource[Any], stored: Mapping[str, tuple[int, bytes]], revision: int) -> None:
        """Takes another definition of the resource. Earlier revisions can't be resumed.

        `stored`: key -> the revision and the bytes in etcd. What is shown may lack fields that only the old definition
        lacked, or have its defaults; it stands in where an object is newer than that.
        """
        self.resource = resource
        self._describer = Describer(resource)
        for key, entry in self.entries.items():
            at, value = stored.get(key, (0, b""))
            value = value if at == entry.revision else self.stored(key, without_revision(entry.value))
            self.entries[key] = self.read_entry(key, value, entry.revision)
        self._begin_anew(revision)

    def hide(self, key: str, why: str, revision: int) -> None:
        """Takes out an object that has become unreadable. Earlier revisions can't be resumed."""
        if self.entries.pop(key, None) is not None:
            del self.keys[bisect_left(self.keys, key)]
        self.unreadable[key] = why
        self._begin_anew(revision)

    def recover(self, entries: list[Entry], revision: int) -> None:
        """Takes in objects that have become readable again, without a change in etcd. Revisions before `revision` can't
        be resumed."""
        for entry in entries:
            del self.unreadable[entry.key]
            insort(self.keys, entry.key)
            self.entries[entry.key] = entry
        if entries:
            self._recoveries += 1
            self._begin_anew(revision)

    @property
    def state(self) -> int:
        """Another number after each change of what the table shows."""
        return self.changed * RECOVERIES + self._recoveries % RECOVERIES

    def changes_after(self, state: int) -> list[TableChange]:
        """Raises: Compacted when not all changes are kept, or some of them were not changes in etcd."""
        revision, recoveries = divmod(state, RECOVERIES)
        if recoveries != self._recoveries % RECOVERIES:
            raise Compacted("objects have become readable since")
        return self.ring.after(revision)

    def _begin_anew(self, revision: int) -> None:
        self.changed = revision
        self.ring = Ring(revision)
        self._notify()

    def check_readable(self, key: str) -> None:
        """Raises: UnreadableObject."""
        if key in self.unreadable:
            raise UnreadableObject(self.unreadable[key])

    def check_span_readable(self, first: str, last: str) -> None:
        """Raises: UnreadableObject, if a key from `first` up to, but not including `last` can't be read."""
        for key in sorted(self.unreadable):
            if first <= key < last:
                raise unreadable_in_list(key, self.unreadable[key])

    def put(self, entry: Entry) -> TableChange:
        if self.unreadable:
            self.unreadable.pop(entry.key, None)
        previous = self.entries.get(entry.key)
        if previous is None:
            insort(self.keys, entry.key)
        self.entries[entry.key] = entry
        return self._changed(TableChange(MODIFIED if previous else ADDED, entry, entry.revision, previous))

    def remove(self, key: str, revision: int) -> TableChange | None:
        """Removes an object; the change has its last state under the revision of the deletion."""
        previous = self.entries.pop(key, None)
        if previous is None:
            self.unreadable.pop(key, None)
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
        Raises: Compacted when the ring does not reach back that far, UnreadableObject.
        """
        first, last = self.span(selection.namespace)
        first = max(first, start)
        self.check_span_readable(first, last)
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


def unreadable_in_list(key: str, why: str) -> UnreadableObject:
    """Makes the error of a list, which names the object at fault."""
    return UnreadableObject(f'unable to transform key "{key}": {why}')


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
