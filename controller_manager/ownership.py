"""Tells which objects belong to a controller, and makes and removes them without doing so twice.

An object belongs to the one owner its ownerReferences call controller. Owners adopt what their selector matches and
nobody owns, and release what no longer matches.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from apimachinery.errors import AlreadyExists, Conflict, NotFound, StatusError
from apimachinery.meta import Object, controller_of
from apimachinery.selectors import Selector
from componentbase import logs
from componentbase.clock import Clock
from kubeclient.backoff import Backoff
from kubeclient.controller import owner_key, owner_reference
from kubeclient.informer import Informer
from kubeclient.rest import STRATEGIC_MERGE_PATCH, RestClient

EXPECTATION_SECONDS = 300.0
"""After this long a controller acts on its cache even if it never saw all it expected."""
PARALLEL_REQUESTS = 32
"""Creations or deletions of one reconcile that are under way at once. With half as many, fewer writes share a turn of
etcd's disk, and the API server waits for it; twice as many are no faster."""
FIRST_RETRY_SECONDS = 0.05
MOST_RETRY_SECONDS = 2.0
MOST_FAILURES = 3  # of the server to create one object

T = TypeVar("T", bound=Object)
W = TypeVar("W")

log = logs.logger(__name__)


# Who owns what


@dataclass(frozen=True, slots=True)
class Claim(Generic[T]):
    """Holds what an owner has, what it should adopt, and what it should release."""

    owned: list[T]
    adopt: list[T]
    release: list[T]


def plan_claim(owner: Object, selector: Selector, candidates: Iterable[T]) -> Claim[T]:
    """Sorts candidates of the owner's namespace; those of other owners, or that concern nobody, are left out.

    An owner that is being deleted neither adopts nor releases; what is being deleted is not adopted.
    """
    claim: Claim[T] = Claim([], [], [])
    deleting = owner.metadata.deletionTimestamp is not None
    for obj in candidates:
        ref = controller_of(obj)
        if ref is not None and ref.uid != owner.metadata.uid:
            continue
        matches = selector.matches(obj.labels)
        if ref is not None:
            if matches:
                claim.owned.append(obj)
            elif not deleting:
                claim.release.append(obj)
        elif matches and not deleting and obj.metadata.deletionTimestamp is None:
            claim.adopt.append(obj)
    return claim


async def claim(
    rest: RestClient, owner: Object, selector: Selector, candidates: Iterable[T], *, finalizer: str = ""
) -> list[T]:
    """Adopts and releases, and returns the objects that are the owner's afterwards.

    What is adopted gets `finalizer`, if there is one, and what is released loses it. Raises: as RestClient's methods.
    """
    plan = plan_claim(owner, selector, candidates)
    if not plan.adopt and not plan.release:
        return plan.owned
    for obj in plan.release:
        await _release(rest, owner, obj, finalizer)
    if plan.adopt and await _may_adopt(rest, owner):
        for obj in plan.adopt:
            if await _adopt(rest, owner, obj, finalizer):
                plan.owned.append(obj)
    return plan.owned


async def _may_adopt(rest: RestClient, owner: Object) -> bool:
    """Asks the API: the cache may not know yet that the owner is being deleted, or is another of the same name."""
    try:
        fresh = await rest.get(type(owner), owner.name, owner.namespace)
    except NotFound:
        return False
    return fresh.metadata.uid == owner.metadata.uid and fresh.metadata.deletionTimestamp is None


async def _adopt(rest: RestClient, owner: Object, obj: Object, finalizer: str) -> bool:
    reference = owner_reference(owner).model_dump(exclude_none=True)
    patch: dict[str, Any] = {"metadata": {"uid": obj.metadata.uid, "ownerReferences": [reference]}}
    if finalizer:
        patch["metadata"]["finalizers"] = [finalizer]
    try:
        await rest.patch(type(obj), obj.name, obj.namespace, patch, content_type=STRATEGIC_MERGE_PATCH)
    except (NotFound, Conflict):  # gone, or another object of that name
        return False
    log.info("adopted", owner=owner.key, object=obj.key)
    return True


async def _release(rest: RestClient, owner: Object, obj: Object, finalizer: str) -> None:
    patch = release_patch(obj, owner.metadata.uid or "")
    if finalizer in (obj.metadata.finalizers or ()):
        patch["metadata"] |= without_finalizer(finalizer)
    try:
        await rest.patch(type(obj), obj.name, obj.namespace, patch, content_type=STRATEGIC_MERGE_PATCH)
    except (NotFound, Conflict):
        return
    log.info("released", owner=owner.key, object=obj.key)


def release_patch(obj: Object, owner_uid: str) -> dict[str, Any]:
    """Returns a strategic merge patch that takes one owner away; the object's uid in it guards against a namesake."""
    return {"metadata": {"uid": obj.metadata.uid, "ownerReferences": [{"$patch": "delete", "uid": owner_uid}]}}


def without_finalizer(finalizer: str) -> dict[str, Any]:
    """Returns the part of a strategic merge patch of `metadata` that takes a finalizer away."""
    return {"$deleteFromPrimitiveList/finalizers": [finalizer]}


OWNER_INDEX = "controller-uid"


def index_by_owner(informer: Informer[T]) -> None:
    """Lets `candidates` find objects by their controller's uid, and those without one by their namespace."""
    informer.add_index(OWNER_INDEX, _owner_values)


def _owner_values(obj: Object) -> Sequence[str]:
    ref = controller_of(obj)
    return (ref.uid,) if ref is not None else (f"orphans/{obj.namespace}",)


def candidates(informer: Informer[T], owner: Object) -> list[T]:
    """Lists the owner's objects and the namespace's orphans: all that `plan_claim` can decide about."""
    owned = informer.by_index(OWNER_INDEX, owner.metadata.uid or "")
    return owned + informer.by_index(OWNER_INDEX, f"orphans/{owner.namespace}")


def owners_of_change(
    old: Object | None, new: Object | None, kind: str, owners: Informer[T], selector: Callable[[T], Selector]
) -> Iterator[str]:
    """Yields the keys of a changed object's owners of this kind, and of those that may adopt it."""
    before = "" if old is None else owner_key(old, kind)
    now = "" if new is None else owner_key(new, kind)
    if before:
        yield before
    if now and now != before:
        yield now
    elif new is not None and controller_of(new) is None:
        for owner in owners.list(new.namespace):
            if selector(owner).matches(new.labels):
                yield owner.key


# Expectations


@dataclass(slots=True)
class _Expected:
    creations: int
    deletions: set[str]
    since: float


class Expectations:
    """Remembers what a controller has done and its cache has not shown yet, by the controller object's key.

    As long as something is missing, counting what is in the cache would lead to doing it again.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._expected: dict[str, _Expected] = {}

    def expect(self, key: str, *, creations: int = 0, deletions: Iterable[str] = ()) -> None:
        """Replaces what was expected before. `deletions` are uids."""
        self._expected[key] = _Expected(creations, set(deletions), self._monotonic())

    def creation_seen(self, key: str) -> None:
        """Counts one creation less; also for one that failed, of which nothing will be seen."""
        expected = self._expected.get(key)
        if expected is not None:
            expected.creations -= 1

    def deletion_seen(self, key: str, uid: str) -> None:
        expected = self._expected.get(key)
        if expected is not None:
            expected.deletions.discard(uid)

    def fulfilled(self, key: str) -> bool:
        expected = self._expected.get(key)
        if expected is None or (expected.creations <= 0 and not expected.deletions):
            return True
        return self._monotonic() - expected.since > EXPECTATION_SECONDS

    def forget(self, key: str) -> None:
        self._expected.pop(key, None)


# Doing it once, and many at a time


async def create_surely(rest: RestClient, obj: Object, clock: Clock) -> None:
    """Creates an object whose name the caller chose at random, and asks again when connection or server failed.

    Nobody else has that name: one that exists already came of an attempt whose answer was lost. Giving up instead would
    leave open whether there is one more. But a server that fails again and again is given up: it may be that a webhook
    of this namespace is broken, and the others' objects would wait for it. Raises: StatusError.
    """
    backoff = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
    in_doubt, failures = False, 0
    while True:
        try:
            await rest.post(obj)
            return
        except AlreadyExists:
            if in_doubt:
                return
            raise
        except (ConnectionError, TimeoutError) as error:
            log.warning("creation in doubt", object=obj.key, error=str(error))
        except StatusError as error:
            failures += 1
            if error.code < 500 or failures == MOST_FAILURES:
                raise
            log.warning("creation in doubt", object=obj.key, error=str(error))
        in_doubt = True
        await clock.sleep(backoff.next_seconds())


async def delete_surely(rest: RestClient, obj: Object, clock: Clock) -> None:
    """Deletes exactly this object (by uid), and asks again when the connection broke. Gone already is fine.

    Raises: StatusError.
    """
    backoff = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
    while True:
        try:
            await rest.delete(type(obj), obj.name, obj.namespace, uid=obj.metadata.uid)
            return
        except (NotFound, Conflict):
            return
        except (ConnectionError, TimeoutError) as error:
            log.warning("deletion in doubt", object=obj.key, error=str(error))
        await clock.sleep(backoff.next_seconds())


async def in_parallel(
    items: Sequence[W], work: Callable[[W], Awaitable[None]], limit: int = PARALLEL_REQUESTS
) -> list[Exception]:
    """Does `work` for every item, up to `limit` at once, and returns the errors; one does not stop the others."""
    errors: list[Exception] = []
    pending: Iterator[W] = iter(items)

    async def worker() -> None:
        for item in pending:
            try:
                await work(item)
            except Exception as error:
                errors.append(error)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(limit, len(items))):
            group.create_task(worker())
    return errors


async def slow_start(items: Sequence[W], work: Callable[[W], Awaitable[None]]) -> tuple[int, list[Exception]]:
    """Does `work` for 1, 2, 4, … items at once until one fails: a refusal that would meet all costs one request.

    Returns how many items were tried, and the errors.
    """
    tried = workers = 0
    errors: list[Exception] = []

    async def worker() -> None:
        nonlocal tried
        while tried < len(items) and not errors:
            tried += 1
            try:
                await work(items[tried - 1])
            except Exception as error:
                errors.append(error)
            else:
                hire()

    def hire() -> None:
        nonlocal workers
        if workers < PARALLEL_REQUESTS:
            workers += 1
            group.create_task(worker())

    async with asyncio.TaskGroup() as group:
        hire()
    return tried, errors
