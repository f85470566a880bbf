"""Tracks ownership over writes: an update takes over the fields that it changes, an apply those that it names.

Documents are objects as plain JSON types, without the fields that belong to nobody (`owned_part`).
Source: Kubernetes documentation, "Server-Side Apply".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from apimachinery.errors import Conflict, FieldError
from apimachinery.meta import ManagedFieldsEntry
from apimachinery.resource import Resource
from apiserver.managedfields.fieldset import (
    MEMBER,
    FieldSet,
    MalformedSet,
    difference,
    field,
    intersection,
    normal,
    path_text,
    paths,
    recursive_difference,
    union,
)
from apiserver.managedfields.shapes import Shape, root_shape
from apiserver.managedfields.typed import NotTyped, applied_set, compare, merge, remove, skeleton, with_structs

Dict = dict[str, Any]
Entries = list[ManagedFieldsEntry]
Identity = tuple[str, str, str, str]

APPLY, UPDATE = "Apply", "Update"
BEFORE_FIRST_APPLY = "before-first-apply"
ANCIENT_CHANGES = "ancient-changes"
KUBECTL = "kubectl"
MAX_UPDATERS = 10  # as upstream; the oldest beyond are merged into one entry
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_UNOWNED_TOP = ("apiVersion", "kind")
_UNOWNED_META = (
    "name", "namespace", "creationTimestamp", "selfLink", "uid", "generation", "managedFields", "resourceVersion",
)  # fmt: skip
_UNOWNED: FieldSet = {
    **{field(name): MEMBER for name in _UNOWNED_TOP},
    "f:metadata": {".": MEMBER, **{field(name): MEMBER for name in _UNOWNED_META}},
}


class Writer(NamedTuple):
    """The manager of a write, its subresource, and its time (RFC 3339; "" for none)."""

    manager: str
    api_version: str
    subresource: str
    time: str


@dataclass(frozen=True, slots=True)
class Applied:
    obj: Any
    """The resulting object, with defaults."""
    entries: Entries
    changed: bool


def owned_part(document: Dict) -> Dict:
    """Returns the document without the fields that belong to nobody; the rest is shared, not copied."""
    part = {key: value for key, value in document.items() if key not in _UNOWNED_TOP}
    meta = part.get("metadata")
    if meta:
        part["metadata"] = {key: value for key, value in meta.items() if key not in _UNOWNED_META}
    return part


def ignored_fields(resource: Resource[Any], subresource: str) -> FieldSet:
    """Returns the fields that a write to the object or its status ignores, so that it does not become their owner."""
    names, own = set(resource.model.model_fields), resource.strategy.ignored_members.get(subresource)
    if subresource == "status" and own is None:
        others = {field(name): MEMBER for name in names - {"metadata", "status"}}
        kept = {field(name): MEMBER for name in ("deletionTimestamp", *resource.strategy.kept_by_status)}
        return {**others, "f:metadata": kept}
    ignored = own or ()
    if not subresource and resource.status and "status" in names:
        ignored = (*ignored, "status")
    return {field(name): MEMBER for name in ignored}


def entry_of(writer: Writer, operation: str, fields: FieldSet) -> ManagedFieldsEntry:
    return ManagedFieldsEntry(
        manager=writer.manager,
        operation=operation,
        apiVersion=writer.api_version,
        time=writer.time or None,
        fieldsType="FieldsV1",
        fieldsV1=fields,
        subresource=writer.subresource or None,
    )


def identity(entry: ManagedFieldsEntry) -> Identity:
    """Identifies the manager of an entry. The version does not matter for appliers."""
    version = "" if entry.operation == APPLY else entry.apiVersion or ""
    return entry.manager or "", entry.operation or "", version, entry.subresource or ""


def _fields(entry: ManagedFieldsEntry) -> FieldSet:
    return entry.fieldsV1 or {}


# -- what clients send


def from_client(sent: Entries | None, stored: Entries | None) -> Entries:
    """Returns the entries to continue from: the client's if they can be read, else the stored ones.

    A client that does not know managed fields keeps them; `[{}]` resets them.
    """
    if not sent or sent == stored:
        return stored or []
    if is_reset(sent):
        return []
    try:
        entries = [entry.model_copy(update={"fieldsV1": normal(entry.fieldsV1 or {})}) for entry in sent]
    except MalformedSet:
        return stored or []
    if any(entry.fieldsType != "FieldsV1" for entry in entries):
        return stored or []
    return _ordered({identity(entry): entry for entry in entries if entry.fieldsV1})


def is_reset(sent: Entries | None) -> bool:
    return sent is not None and len(sent) == 1 and not sent[0].model_dump(exclude_none=True)


# -- updates


def created(entries: Entries, document: Dict, resource: Resource[Any], writer: Writer) -> Entries:
    """Returns the entries of a new object; `entries` itself where its fields can't be told, for want of a key."""
    shape = root_shape(resource)
    try:
        changed, _ = compare({"metadata": {}} | skeleton(shape), owned_part(document), shape)
    except NotTyped:
        return entries
    return _take(entries, recursive_difference(changed, ignored_fields(resource, writer.subresource)), {}, writer)


def updated(entries: Entries, old: Dict, new: Dict, resource: Resource[Any], writer: Writer) -> Entries:
    """Returns the entries after an update; `entries` itself if it did not change owned fields that can be told."""
    ignored = ignored_fields(resource, writer.subresource)
    try:
        parts = compare(owned_part(old), owned_part(new), root_shape(resource))
    except NotTyped:
        return entries
    changed, removed = (recursive_difference(part, ignored) for part in parts)
    return _take(entries, changed, removed, writer) if changed or removed else entries


def before_first_apply(document: Dict, resource: Resource[Any], time: str) -> Entries:
    """Returns the entry for all fields that an object had before its owners were tracked."""
    return created([], document, resource, Writer(BEFORE_FIRST_APPLY, resource.api_version, "", time))


def _take(entries: Entries, changed: FieldSet, removed: FieldSet, writer: Writer) -> Entries:
    gone = union(changed, removed)
    taken: dict[Identity, ManagedFieldsEntry] = {}
    for entry in entries:
        left = difference(_fields(entry), gone)
        if left is entry.fieldsV1:
            taken[identity(entry)] = entry
        elif left:
            taken[identity(entry)] = entry.model_copy(update={"fieldsV1": left})
    if changed:
        own = entry_of(writer, UPDATE, changed)
        key = identity(own)
        if key in taken:
            own.fieldsV1 = union(_fields(taken[key]), changed)
        taken[key] = own
    return _ordered(_capped(taken))


def _capped(entries: dict[Identity, ManagedFieldsEntry]) -> dict[Identity, ManagedFieldsEntry]:
    """Limits the updates to MAX_UPDATERS: the oldest of one version are merged."""
    updates = [(key, entry) for key, entry in entries.items() if entry.operation != APPLY]
    surplus = len(updates) - MAX_UPDATERS
    if surplus <= 0:
        return entries
    updates.sort(key=lambda item: (_time(item[1]), item[0]))
    buckets: dict[str, list[tuple[Identity, ManagedFieldsEntry]]] = {}
    for key, entry in updates:
        bucket = buckets.setdefault(entry.apiVersion or "", [])
        bucket.append((key, entry))
        surplus -= len(bucket) > 1
        if not surplus:
            break
    result = dict(entries)
    for version, bucket in buckets.items():
        if len(bucket) == 1:
            continue
        fields: FieldSet = {}
        for key, entry in bucket:
            del result[key]
            fields = union(fields, _fields(entry))
        newest = bucket[-1][1]
        own = entry_of(Writer(ANCIENT_CHANGES, version, "", newest.time or ""), UPDATE, fields)
        result[identity(own)] = own
    return result


def _time(entry: ManagedFieldsEntry) -> str:
    """Returns whole seconds, in a form that sorts by time. A client may have written any RFC 3339 time."""
    return (entry.time or "")[: len("2026-01-31T10:00:00")]


def _ordered(entries: dict[Identity, ManagedFieldsEntry]) -> Entries:
    """Sorts applies before updates, and older before newer entries."""

    def rank(entry: ManagedFieldsEntry) -> tuple[str, str, str, str, str]:
        manager, operation, _, subresource = identity(entry)
        return operation, _time(entry), manager, entry.apiVersion or "", subresource

    return sorted(entries.values(), key=rank) if len(entries) > 1 else list(entries.values())


# -- apply


def apply(
    entries: Entries,
    live: Dict,
    config: Dict,
    resource: Resource[Any],
    writer: Writer,
    complete: Callable[[Dict], tuple[Any, Dict]],
    *,
    force: bool,
) -> Applied:
    """Applies `config` to `live` ({} for a new object).

    `complete` makes an object of a merged document, and returns it with the document in its stored form: defaults,
    canonical values.
    Raises: NotTyped, Conflict, and what `complete` raises.
    """
    shape, ignored = root_shape(resource), ignored_fields(resource, writer.subresource)
    if not entries and live:
        entries = before_first_apply(live, resource, writer.time)
    applied = recursive_difference(applied_set(config, shape), ignored)
    own = entry_of(writer, APPLY, difference(applied, _UNOWNED))
    key = identity(own)
    last = next((entry for entry in entries if identity(entry) == key), None)
    others = [entry for entry in entries if entry is not last]
    document = merge(live, config, shape)
    if last is not None and (given_up := _given_up(_fields(last), applied, others, shape)):
        document = merge(remove(document, given_up, shape) or {}, config, shape)  # what is applied empty stays so
    if document == live:
        own.time = last.time if last else None  # the time tells when the object changed
    obj, document = complete(document)
    changed, removed = (
        recursive_difference(part, ignored) for part in compare(owned_part(live), owned_part(document), shape)
    )
    conflicts = [(entry, lost) for entry in others if (lost := intersection(_fields(entry), changed))]
    if conflicts and not force:
        _check_conflicts(conflicts, live, writer, shape)
    if last is not None and last.fieldsV1 == own.fieldsV1 and not changed and not removed:
        return Applied(obj, entries, False)
    gone = union(changed, removed)
    by_identity = {identity(entry): entry for entry in (_less(entry, gone) for entry in others) if entry.fieldsV1}
    if own.fieldsV1:
        by_identity[key] = own
    return Applied(obj, _ordered(_capped(by_identity)), True)


def _less(entry: ManagedFieldsEntry, gone: FieldSet) -> ManagedFieldsEntry:
    left = difference(_fields(entry), gone)
    return entry if left is entry.fieldsV1 else entry.model_copy(update={"fieldsV1": left})


def _given_up(last: FieldSet, applied: FieldSet, others: Entries, shape: Shape) -> FieldSet:
    """Returns the fields that this applier owned, no longer names, and nobody else owns."""
    held = union(applied, {"f:metadata": {"f:name": MEMBER}})
    for entry in others:
        held = union(held, _fields(entry))
    return difference(with_structs(last, shape), with_structs(held, shape)) if difference(last, held) else {}


def _check_conflicts(
    conflicts: list[tuple[ManagedFieldsEntry, FieldSet]], live: Dict, writer: Writer, shape: Shape
) -> None:
    """Refuses conflicts. Fields that are as kubectl applied them last are kubectl's own, whatever the entries say.

    Raises: Conflict.
    """
    if writer.manager == KUBECTL and (mine := _last_applied_set(live, shape, writer.api_version)):
        conflicts = [(entry, left) for entry, lost in conflicts if (left := difference(lost, mine))]
    if conflicts:
        raise conflict_error(conflicts)


def _last_applied_set(live: Dict, shape: Shape, api_version: str) -> FieldSet:
    """Returns the fields of kubectl's annotation that still have the values that they have there."""
    text = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
    try:
        config = orjson.loads(text or "null")
        if not isinstance(config, dict) or config.get("apiVersion") != api_version:
            return {}
        changed, removed = compare(config, live, shape)
        return difference(applied_set(config, shape), union(changed, removed))
    except (orjson.JSONDecodeError, NotTyped):
        return {}


def conflict_error(conflicts: Iterable[tuple[ManagedFieldsEntry, FieldSet]]) -> Conflict:
    """Makes the 409, with a cause for each field and its owner."""
    by_owner: dict[str, list[str]] = {}
    for entry, lost in conflicts:
        by_owner.setdefault(_owner_text(entry), []).extend(map(path_text, paths(lost)))
    causes = [
        FieldError("FieldManagerConflict", path, f"conflict with {owner}")
        for owner, fields in by_owner.items()
        for path in fields
    ]
    if len(causes) == 1:
        (owner, (path,)), *_ = by_owner.items()
        return Conflict(f"Apply failed with 1 conflict: conflict with {owner}: {path}", {}, causes)
    text = "\n".join(
        "\n".join([f"conflicts with {owner}:", *(f"- {path}" for path in by_owner[owner])])
        for owner in sorted(by_owner)
    )
    return Conflict(f"Apply failed with {len(causes)} conflicts: {text}", {}, causes)


def _owner_text(entry: ManagedFieldsEntry) -> str:
    text = orjson.dumps(entry.manager or "").decode()
    if entry.subresource:
        text += f' with subresource "{entry.subresource}"'
    return f"{text} using {entry.apiVersion}" if entry.operation == UPDATE else text
