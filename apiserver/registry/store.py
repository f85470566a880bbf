"""The generic registry: how an object of any kind is created, changed and deleted, whatever the verb that asked.

A write reads the object from the watch cache (no I/O), computes the new one and writes it under a guard on the revision
it read. Where the guard fails, or the request fails on what may have been stale, the object is read from etcd once more
and the change is computed again: so a conflict is only ever reported about what is really stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Generic, TypeVar
from uuid import uuid4

from apimachinery.errors import (
    AlreadyExists,
    BadRequest,
    FieldError,
    RequestEntityTooLarge,
    StatusError,
    invalid,
    invalid_object,
    object_conflict,
    object_exists,
    object_not_found,
)
from apimachinery.meta import DeleteOptions, Object, ObjectMeta
from apimachinery.model import decode, encode
from apimachinery.names import generate_name
from apimachinery.resource import Resource
from apimachinery.splice import split_owners, with_owners, with_revision, without_revision
from apimachinery.times import format_time
from apiserver.admission._plugin import CONNECT, CREATE, DELETE, UPDATE, Attributes, Chain
from apiserver.managedfields import tracking
from apiserver.registry.changes import Change
from apiserver.registry.deletion import Deletion, check_preconditions, check_uid, plan_deletion, removed_by_update
from apiserver.registry.hooks import NO_HOOKS, Hooks
from apiserver.registry.validation import drop_repeated_owners, validate_metadata, validate_metadata_update
from apiserver.request.info import RequestInfo
from apiserver.request.query import OWN_WRITE, WriteOptions, parse_revision
from apiserver.request.user import User
from apiserver.storage import Storage
from apiserver.storage.interface import Entry, KeyExists, RevisionConflict, UnreadableObject, ValueTooLarge
from componentbase.clock import Clock

T = TypeVar("T", bound=Object)

GENERATED_NAME_TRIES = 8  # as upstream: after as many taken names the client gets the 409

time_text = lru_cache(maxsize=16)(format_time)
"""Unix seconds -> text: a second sees many writes."""


@dataclass(frozen=True, slots=True)
class WriteResult:
    """`value` is the encoded object as it is now; the last state of one that was removed."""

    value: bytes
    created: bool = False
    removed: bool = False
    uid: str = ""
    warnings: tuple[str, ...] = ()
    """The warnings of the change."""


class Store(Generic[T]):
    """One resource's registry."""

    def __init__(
        self,
        resource: Resource[T],
        storage: Storage,
        admission: Chain,
        clock: Clock,
        hooks: Hooks = NO_HOOKS,
        ttl_seconds: int = 0,
        spec_subresources: Iterable[str] = (),
    ) -> None:
        """`ttl_seconds`: objects vanish by themselves so long after their last write; 0 keeps them.
        `spec_subresources`: through these, too, a client changes what it wants, and so the generation.
        """
        self.resource = resource
        self.storage = storage
        self.hooks = hooks
        self._admission = admission
        self.clock = clock
        self._ttl_seconds = ttl_seconds
        self._spec_subresources = {"", *spec_subresources}
        fields = resource.model.model_fields
        self._has_spec = "spec" in fields
        self._has_status = "status" in fields and resource.status
        self._empty_status: Any = fields["status"].default_factory if self._has_status else None
        self._tracks_generation = self._has_spec and resource.strategy.generation_tracks_spec

    def namespace_of(self, info: RequestInfo) -> str:
        """Where the objects of a request are: "" for a kind without namespaces, whatever the path says."""
        return info.namespace if self.resource.namespaced else ""

    # -- read

    async def read(self, namespace: str, name: str, *, min_revision: int | None = None) -> Entry:
        """The object as it is stored now; `min_revision` lets the cache answer that has seen it. Raises: NotFound."""
        entry = await self.storage.get(self.resource, namespace, name, min_revision=min_revision)
        if entry is None:
            raise object_not_found(self.resource.plural, self.resource.group, name)
        return entry

    async def read_object(self, namespace: str, name: str) -> T:
        """The same, decoded."""
        return decode(self.resource.model, (await self.read(namespace, name)).value)

    # -- create

    async def create(
        self,
        namespace: str,
        obj: T,
        user: User,
        options: WriteOptions = OWN_WRITE,
        *,
        subresource: str = "",
        body: bytes = b"",
    ) -> WriteResult:
        """`body` is the JSON that the object was decoded from, if from any.

        Raises: StatusError (403, 404 for the namespace, 409, 422).
        """
        resource, meta = self.resource, obj.metadata
        if meta.resourceVersion:
            raise BadRequest("resourceVersion should not be set on objects to be created")
        meta.namespace = namespace or None
        generated = not meta.name and bool(meta.generateName)
        if generated:
            meta.name = generate_name(meta.generateName or "")
        attributes = Attributes(
            CREATE, resource, subresource, namespace, meta.name or "", obj, None, user, options.dry_run
        )
        attributes.audit_annotations = options.audit_annotations
        meta.deletionTimestamp = meta.deletionGracePeriodSeconds = None
        sent = tracking.take_entries(obj)
        owners = tracking.created(obj, sent, resource, options, self._now(), body=body)
        warnings = drop_repeated_owners(meta)
        await self._admission.mutate(attributes)
        await self.hooks.check_rights(attributes)
        self._prepare_create(obj, user)
        errors = tracking.entry_errors(sent, owners)
        if errors := errors + await self._checked(lambda: self._create_errors(obj)):
            raise self._invalid(obj, errors)
        await self._admission.validate(attributes)
        undo = await self.hooks.begin_create(obj, dry_run=options.dry_run)
        try:
            result = await self._insert(namespace, obj, owners, options, generated=generated)
        except StatusError:
            await undo()
            raise
        warnings = (*warnings, *resource.strategy.create_warnings(obj), *self.hooks.warnings(obj), *attributes.warnings)
        return replace(result, warnings=warnings) if warnings else result

    async def admit(
        self, namespace: str, name: str, obj: Any, user: User, *, subresource: str, dry_run: bool = False
    ) -> tuple[str, ...]:
        """Runs admission for what a subresource is sent and doesn't store, such as an eviction; returns its warnings.

        Raises: StatusError.
        """
        attributes = Attributes(CREATE, self.resource, subresource, namespace, name, obj, None, user, dry_run)
        await self._admission.mutate(attributes)
        await self._admission.validate(attributes)
        return attributes.warnings

    async def admit_connection(
        self, namespace: str, name: str, options: dict[str, Any], user: User, *, subresource: str
    ) -> None:
        """Runs admission for a connection to an object, such as an exec. Raises: StatusError."""
        attributes = Attributes(CONNECT, self.resource, subresource, namespace, name, options, None, user)
        await self._admission.mutate(attributes)
        await self._admission.validate(attributes)

    async def _insert(
        self, namespace: str, obj: T, owners: bytes, options: WriteOptions, *, generated: bool
    ) -> WriteResult:
        for attempt in range(GENERATED_NAME_TRIES):
            name = obj.metadata.name or ""
            value = with_owners(encode(obj), owners)
            if options.dry_run:
                if await self.storage.get_from_etcd(self.resource, namespace, name) is None:
                    return WriteResult(value, created=True)
            else:
                try:
                    entry = await self.storage.create(
                        self.resource, namespace, name, value, obj=obj, ttl_seconds=self._ttl_seconds
                    )
                    return WriteResult(entry.value, created=True)
                except KeyExists:
                    pass
                except ValueTooLarge as error:
                    raise RequestEntityTooLarge(str(error)) from None
            if not generated or attempt == GENERATED_NAME_TRIES - 1:
                break
            obj.metadata.name = generate_name(obj.metadata.generateName or "")
        raise await self._exists(namespace, name)

    async def _exists(self, namespace: str, name: str) -> StatusError:
        error = object_exists(self.resource.plural, self.resource.group, name)
        try:
            entry = await self.storage.get_from_etcd(self.resource, namespace, name)
        except UnreadableObject:
            return error
        if entry is not None and decode(self.resource.model, entry.value).metadata.deletionTimestamp is not None:
            error.message = f"object is being deleted: {error.message}"
        return error

    def _now(self) -> str:
        return time_text(int(self.clock.now()))

    async def _checked(self, check: Callable[[], list[FieldError]]) -> list[FieldError]:
        return await asyncio.to_thread(check) if self.resource.strategy.compiles else check()

    def _create_errors(self, obj: T) -> list[FieldError]:
        errors = validate_metadata(obj, self.resource) + self.resource.strategy.validate_create(obj)
        return errors + self.hooks.errors(obj, None)

    def _prepare_create(self, obj: T, user: User) -> None:
        meta = obj.metadata
        meta.uid = str(uuid4())
        meta.creationTimestamp = self._now()
        meta.selfLink = None
        if self._tracks_generation:
            meta.generation = 1
        if self._empty_status is not None and self.resource.strategy.resets_status:
            obj.status = self._empty_status()  # type: ignore[attr-defined]
        strategy = self.resource.strategy
        strategy.record_requester(obj, user.name, user.uid, user.groups, dict(user.extra))
        strategy.prepare_create(obj)

    # -- update

    async def update(
        self,
        namespace: str,
        name: str,
        change: Change[T],
        user: User,
        options: WriteOptions = OWN_WRITE,
        *,
        subresource: str = "",
        check_create: Callable[[], Awaitable[None]] | None = None,
    ) -> WriteResult:
        """Changes a stored object; an apply, or a kind that allows it, creates a missing one.

        Subresource "status" changes `status` alone, "" everything else, any other all of what `change` returns.
        `check_create` raises if the user may change objects, but not create them.
        Raises: StatusError (403, 404, 409, 422).
        """
        may_create = not subresource and (options.applies or self.resource.strategy.allow_create_on_update)

        async def attempt(entry: Entry | None) -> WriteResult:
            if entry is not None:
                return await self._try_update(entry, change, user, options, subresource)
            obj = change.create() if may_create else None
            if obj is None:
                raise object_not_found(self.resource.plural, self.resource.group, name)
            if check_create is not None:
                await check_create()
            try:
                return await self.create(namespace, obj, user, options)
            except AlreadyExists:
                if not options.applies:
                    raise
                raise RevisionConflict(await self.storage.get_from_etcd(self.resource, namespace, name)) from None

        return await self._attempts(namespace, name, attempt)

    async def _attempts(
        self, namespace: str, name: str, attempt: Callable[[Entry | None], Awaitable[WriteResult]]
    ) -> WriteResult:
        """Makes a write from what the cache holds, and again from what etcd holds where that was the reason it failed.

        Raises: what the attempt on the latest state raises.
        """
        entry = self.storage.latest(self.resource, namespace, name)
        is_latest = entry is None
        if is_latest:
            entry = await self.storage.get_from_etcd(self.resource, namespace, name)
        while True:
            try:
                return await attempt(entry)
            except RevisionConflict as conflict:
                entry, is_latest = conflict.current, True
            except StatusError:
                if is_latest or entry is None:
                    raise
                failed_revision = entry.revision
                entry, is_latest = await self.storage.get_from_etcd(self.resource, namespace, name), True
                if entry is not None and entry.revision == failed_revision:
                    raise

    async def _try_update(
        self, entry: Entry, change: Change[T], user: User, options: WriteOptions, subresource: str
    ) -> WriteResult:
        """One attempt. Raises: RevisionConflict, StatusError."""
        resource = self.resource
        plain, stored = split_owners(entry.value)
        current = entry.value if change.reads_owners else plain
        old = decode(resource.model, current)
        new, warnings, expected_uid = change.apply(old, current)
        sent, kept = tracking.take_entries(new), tracking.take_entries(old)
        stored = stored or tracking.encode_entries(kept)
        if not options.applies:
            sent = tracking.changed_entries(sent, stored)
        warnings += drop_repeated_owners(new.metadata)
        check_uid(resource, old, expected_uid)
        self._check_revision(new.metadata, entry)
        attributes = Attributes(
            UPDATE, resource, subresource, entry.namespace, entry.name, new, old, user, options.dry_run
        )
        attributes.audit_annotations = options.audit_annotations
        owners = tracking.updated(new, old, sent, stored, resource, options, subresource, self._now())
        await self._admission.mutate(attributes)
        await self.hooks.check_rights(attributes)
        self._prepare_update(new, old, subresource)
        errors = tracking.entry_errors(sent, owners)
        if errors := errors + await self._checked(lambda: self._update_errors(new, old, subresource)):
            raise self._invalid(new, errors)
        await self._admission.validate(attributes)
        if removed_by_update(new, old, held=self.hooks.holds(new)):
            return await self._remove(entry, old, with_owners(encode(new), owners), options.dry_run)
        if not subresource:
            warnings = (*warnings, *resource.strategy.update_warnings(new, old), *self.hooks.warnings(new))
        warnings += attributes.warnings
        undo = await self.hooks.begin_update(new, old, dry_run=options.dry_run)
        try:
            value = _encode_change(new, old, entry, owners, changed=owners != stored)
            if options.dry_run:
                return WriteResult(with_revision(value, entry.revision), warnings=warnings)
            written = await self._put(entry, value, new)
        except (StatusError, RevisionConflict):
            await undo()
            raise
        await self.hooks.after_update(new, old)
        return WriteResult(written.value, warnings=warnings)

    async def _put(self, entry: Entry, value: bytes, obj: T) -> Entry:
        try:
            return await self.storage.update(
                self.resource,
                entry.namespace,
                entry.name,
                value,
                entry.revision,
                obj=obj,
                ttl_seconds=self._ttl_seconds,
            )
        except ValueTooLarge as error:
            raise RequestEntityTooLarge(str(error)) from None

    def _check_revision(self, new: ObjectMeta, entry: Entry) -> None:
        """Refuses a resourceVersion that is not the stored object's: the client has read another state.

        Raises: StatusError.
        """
        resource = self.resource
        revision = parse_revision(new.resourceVersion or "")
        if not revision:
            if not resource.strategy.allow_unconditional_update:
                error = invalid("metadata.resourceVersion", 0, "must be specified for an update")
                raise invalid_object(resource.plural, resource.group, entry.name, [error])
        elif revision != entry.revision:
            raise object_conflict(resource.plural, resource.group, entry.name)

    def _prepare_update(self, new: T, old: T, subresource: str) -> None:
        meta, stored = new.metadata, old.metadata
        meta.resourceVersion = None
        stored.resourceVersion = None
        meta.uid = meta.uid or stored.uid
        meta.creationTimestamp = stored.creationTimestamp
        meta.generation = stored.generation
        meta.selfLink = None
        if stored.deletionTimestamp is not None:
            meta.deletionTimestamp = stored.deletionTimestamp
        if meta.deletionGracePeriodSeconds is None:
            meta.deletionGracePeriodSeconds = stored.deletionGracePeriodSeconds
        strategy = self.resource.strategy
        if subresource == "status":
            self._keep_all_but_status(new, old)
            strategy.prepare_status_update(new, old)
            return
        if not subresource:
            if self._has_status and strategy.resets_status:
                new.status = old.status  # type: ignore[attr-defined]
            strategy.prepare_update(new, old)
        else:
            strategy.prepare_subresource_update(new, old, subresource)
        if self._tracks_generation and subresource in self._spec_subresources and new.spec != old.spec:  # type: ignore[attr-defined]
            meta.generation = (stored.generation or 0) + 1

    def _keep_all_but_status(self, new: T, old: T) -> None:
        """Most of what clients set in the metadata may change with a status, as upstream allows; owners may not."""
        for name in self.resource.strategy.kept_by_status:
            setattr(new.metadata, name, getattr(old.metadata, name))
        for field in self.resource.model.model_fields:
            if field not in ("metadata", "status"):
                setattr(new, field, getattr(old, field))

    def _update_errors(self, new: T, old: T, subresource: str) -> list[FieldError]:
        strategy = self.resource.strategy
        errors = validate_metadata_update(new.metadata, old.metadata)
        errors += errors  # upstream lists these twice: its generic check and each kind's find them
        errors += validate_metadata(new, self.resource)
        if subresource == "status":
            return errors + strategy.validate_status_update(new, old)
        errors += strategy.validate(new)
        if subresource:
            return errors + strategy.validate_subresource_update(new, old, subresource)
        return errors + strategy.validate_update(new, old) + self.hooks.errors(new, old)

    # -- delete

    async def delete(
        self, namespace: str, name: str, options: DeleteOptions, user: User, *, dry_run: bool = False
    ) -> WriteResult:
        """Raises: StatusError (403, 404, 409)."""
        resource = self.resource
        attributes = Attributes(DELETE, resource, "", namespace, name, None, None, user, dry_run)

        async def attempt(entry: Entry | None) -> WriteResult:
            if entry is None:
                raise object_not_found(resource.plural, resource.group, name)
            attributes.old = decode(resource.model, split_owners(entry.value)[0])
            await self._admission.mutate(attributes)
            await self._admission.validate(attributes)
            return await self._try_delete(entry, attributes.old, options, dry_run)

        return await self._attempts(namespace, name, attempt)

    async def _try_delete(self, entry: Entry, old: T, options: DeleteOptions, dry_run: bool) -> WriteResult:
        check_preconditions(self.resource, entry.name, old.metadata, options)
        plain, owners = split_owners(entry.value)
        new = decode(self.resource.model, plain)
        grace = self.resource.strategy.grace_period_seconds(new, options)
        held = self.hooks.holds(new)
        plan = plan_deletion(
            new,
            options,
            grace_period_seconds=grace,
            held=held,
            now=self.clock.now(),
            orphans=self.resource.strategy.orphans_dependents,
        )
        if plan is Deletion.PENDING:
            return WriteResult(entry.value)
        if plan is Deletion.REMOVE:
            new.metadata.resourceVersion = None
            shown = b"" if grace is None else with_owners(encode(new), owners)
            return await self._remove(entry, old, shown, dry_run)
        if old.metadata.deletionTimestamp is None:
            self.hooks.marked(new)
        if new == old:
            return WriteResult(entry.value)
        new.metadata.resourceVersion = None
        value = with_owners(encode(new), owners)
        if dry_run:
            return WriteResult(with_revision(value, entry.revision))
        return WriteResult((await self._put(entry, value, new)).value)

    async def _remove(self, entry: Entry, old: T, shown: bytes, dry_run: bool) -> WriteResult:
        """Removes what is stored as `old`. The client sees `shown`, the encoded state that its request leads to; for
        b"" the last one stored."""
        uid, last = old.metadata.uid or "", entry
        if not dry_run:
            last = await self.storage.delete(self.resource, entry.namespace, entry.name, entry.revision)
            await self.hooks.after_delete(old)
        value = with_revision(shown, last.revision) if shown else last.value
        return WriteResult(value, removed=True, uid=uid)

    def _invalid(self, obj: T, errors: list[FieldError]) -> StatusError:
        """Names the stored kind, also where the request is about a view of it."""
        resource = self.resource.view.of if self.resource.view else self.resource
        return invalid_object(resource.kind, resource.group, obj.metadata.name or "", errors)


def _encode_change(new: Object, old: Object, entry: Entry, owners: bytes, *, changed: bool) -> bytes:
    """The new object's encoding; the stored one where only the order of map keys differs, so that storage sees that
    there is nothing to write. `changed`: its owners are others than before."""
    value, stored = with_owners(encode(new), owners), without_revision(entry.value)
    same = not changed and len(value) == len(stored) and value != stored and new == old
    return stored if same else value
