"""Selections: the namespace and selectors of a list or a watch, and whether an entry matches them."""

from __future__ import annotations

from collections.abc import Callable

from apimachinery.selectors import FieldSelector, Selector, matcher
from apimachinery.splice import replace_revision
from apiserver.storage.cache.ring import TableChange
from apiserver.storage.interface import ADDED, DELETED, Entry, WatchEvent

SelectionKey = tuple[str, Selector | None, FieldSelector | None]


class Selection:
    """A namespace ("" for all) and selectors. Equal selections have equal `key`s and can share their work."""

    __slots__ = ("_selects", "everything", "fields", "key", "labels", "namespace")

    def __init__(self, namespace: str, labels: Selector | None = None, fields: FieldSelector | None = None) -> None:
        self.namespace = namespace
        self.labels = None if labels is None or labels.empty else labels
        self.fields = None if fields is None or fields.empty else fields
        self.key: SelectionKey = (namespace, self.labels, self.fields)
        self._selects = _compile(self.labels, self.fields)
        self.everything = not namespace and self._selects is None

    @property
    def selective(self) -> bool:
        """Tells whether it has any selector besides the namespace."""
        return self._selects is not None

    def selects(self, entry: Entry) -> bool:
        """Tells whether the selectors match; the namespace is not looked at."""
        return self._selects is None or self._selects(entry)

    def exact_field(self) -> tuple[str, str] | None:
        """Returns a (path, value) that every match has, for looking watchers up by it."""
        if self.fields is not None:
            for path, op, value in self.fields.requirements:
                if op == "=":
                    return path, value
        return None

    def event(self, change: TableChange) -> WatchEvent | None:
        """Returns the change as the watchers of this selection see it, None when it does not concern them.

        An object that starts to match is ADDED for them; one that stops is DELETED, with its last matching state under
        the revision of the change.
        """
        entry, previous = change.entry, change.previous
        if self.namespace and entry.namespace != self.namespace:
            return None
        if self._selects is None:
            return change
        now = change.type != DELETED and self._selects(entry)
        before = previous is not None and self._selects(previous)
        if now:
            if before or change.type == ADDED:
                return change
            return WatchEvent(ADDED, entry, change.revision)
        if not before or previous is None:
            return None
        if change.type == DELETED:
            return change
        return WatchEvent(
            DELETED, previous.at(change.revision, replace_revision(previous.value, change.revision)), change.revision
        )


def _compile(labels: Selector | None, fields: FieldSelector | None) -> Callable[[Entry], bool] | None:
    if labels is None and fields is None:
        return None
    match_labels = matcher(labels) if labels is not None else None
    conditions = [(path, value, op == "=") for path, op, value in fields.requirements] if fields is not None else []

    def selects(entry: Entry) -> bool:
        for path, value, equal in conditions:
            if (entry.field(path) == value) is not equal:
                return False
        return match_labels is None or match_labels(entry.labels)

    return selects
