"""Defines the shape of a control loop: triggers queue keys, workers reconcile them, a Result says what follows.

`reconcile` gets a key and nothing else: it looks at what is, not at what happened, so a missed or doubled event costs a
look and no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from apimachinery.errors import Conflict, StatusError
from apimachinery.meta import Object, OwnerReference, controller_of
from apimachinery.resource import Resource, resource_of
from componentbase import logs
from componentbase.clock import Clock
from kubeclient.informer import Informers
from kubeclient.recorder import EventRecorder
from kubeclient.rest import RestClient
from kubeclient.workqueue import WorkQueue

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """Says what follows a reconcile that did not fail: nothing, or another look in `after_seconds`."""

    after_seconds: float = 0.0


DONE = Result()


def after(seconds: float) -> Result:
    """Asks for another look in so many seconds, if nothing else wakes the key before."""
    return Result(max(seconds, 0.001))


class Reconciler(Protocol):
    """Raises whatever stopped it; the key comes back with exponential backoff."""

    async def reconcile(self, key: str) -> Result: ...


R = TypeVar("R", bound=Reconciler)
T = TypeVar("T", bound=Object)


# Triggers


@dataclass(frozen=True)
class Watch(Generic[R, T]):
    """Adds the keys that a change of one kind concerns.

    `keys(reconciler, old, new)` gets the object before and after the change, None where there is none. It is called in
    the order of the changes, may read the reconciler's caches and note what it saw, and must not block. The keys wait
    `delay_seconds` for others like them. `namespace` and `field_selector` select among the objects.
    """

    model: type[T] | Resource[T]
    keys: Callable[[R, T | None, T | None], Iterable[str]]
    delay_seconds: float = 0.0
    namespace: str = ""
    field_selector: str = ""


@dataclass(frozen=True)
class Every(Generic[R]):
    """Adds keys once in a period: for what no event tells."""

    seconds: Callable[[R], float]
    keys: Callable[[R], Iterable[str]]


@dataclass(frozen=True)
class Source(Generic[R]):
    """Adds keys from elsewhere: `run(reconciler, queue)` works beside the workers and must not return."""

    run: Callable[[R, WorkQueue], Coroutine[Any, Any, None]]


def own(model: type[T] | Resource[T], *, namespace: str = "", field_selector: str = "") -> Watch[Any, T]:
    """Watches a kind for the key of the object itself."""
    return maps(model, lambda obj: (obj.key,), namespace=namespace, field_selector=field_selector)


def owner(model: type[T] | Resource[T], kind: str) -> Watch[Any, T]:
    """Watches a kind for the keys of its objects' controllers, where those are of this kind."""

    def owner_keys(obj: T) -> Iterable[str]:
        key = owner_key(obj, kind)
        return (key,) if key else ()

    return maps(model, owner_keys)


def maps(
    model: type[T] | Resource[T],
    function: Callable[[T], Iterable[str]],
    *,
    namespace: str = "",
    field_selector: str = "",
) -> Watch[Any, T]:
    """Watches a kind for the keys that `function` gives for the object as it was and as it is."""

    def keys(_: Any, old: T | None, new: T | None) -> Iterable[str]:
        return {key for obj in (old, new) if obj is not None for key in function(obj)}

    return Watch(model, keys, namespace=namespace, field_selector=field_selector)


def latest(old: T | None, new: T | None) -> T:
    """Returns the object of a change: as it is now, or as it was if it is gone."""
    obj = new if new is not None else old
    assert obj is not None
    return obj


def owner_key(obj: Object, kind: str) -> str:
    """Returns the key of the object's controller, "" where it has none or one of another kind."""
    ref = controller_of(obj)
    if ref is None or ref.kind != kind:
        return ""
    return f"{obj.namespace}/{ref.name}" if obj.namespace else ref.name


def owner_reference(owner: Object, resource: Resource[Any] | None = None) -> OwnerReference:
    """Returns the reference that makes `owner` the controller of an object; `resource` where its model is shared."""
    resource = resource or resource_of(type(owner))
    return OwnerReference(
        apiVersion=resource.api_version,
        kind=resource.kind,
        name=owner.name,
        uid=owner.metadata.uid or "",
        controller=True,
        blockOwnerDeletion=True,
    )


# Controllers


@dataclass
class ControllerContext:
    """Holds what a controller gets to work with. `options` are the daemon's."""

    rest: RestClient
    informers: Informers
    recorder: EventRecorder
    clock: Clock = field(default_factory=Clock)
    options: Any = None


@dataclass(frozen=True)
class ControllerSpec(Generic[R]):
    """Declares a controller in its file: `CONTROLLER = ControllerSpec("replicaset-controller", …)`.

    `watches` are all that wakes it. `workers` keys are reconciled at once, unless the flag `workers_flag`, which counts
    `subjects`, says otherwise. With --use-service-account-credentials it speaks as `service_account` of kube-system, by
    default the one of its own name: the role `system:controller:NAME` says what that may do. With `speaks_as_daemon` it
    never does. Its events come from `event_source`, by default its name.
    """

    name: str
    factory: Callable[[ControllerContext], R]
    watches: Sequence[Watch[R, Any] | Every[R] | Source[R]]
    workers: int = 5
    workers_flag: str = ""
    subjects: str = ""
    service_account: str = ""
    speaks_as_daemon: bool = False
    event_source: str = ""

    @property
    def account(self) -> str:
        """Returns the name of its service account."""
        return self.service_account or self.name


async def run_controller(spec: ControllerSpec[R], context: ControllerContext, workers: int = 0) -> None:
    """Runs until cancelled. The informers run elsewhere, shared; work begins when the caches that it asked for are
    complete."""
    queue = WorkQueue(spec.name)
    with context.informers.noting() as informers:
        reconciler = spec.factory(context)
        connect(spec, reconciler, context.informers, queue)
    for informer in informers:
        await informer.wait_synced()
    workers = workers or spec.workers
    log.info("controller started", controller=spec.name, workers=workers)
    try:
        async with asyncio.TaskGroup() as group:
            for trigger in spec.watches:
                if isinstance(trigger, Every):
                    group.create_task(_tick(trigger, reconciler, context.clock, queue))
                elif isinstance(trigger, Source):
                    group.create_task(trigger.run(reconciler, queue))
            for _ in range(workers):
                group.create_task(_work(spec.name, reconciler, queue))
    finally:
        queue.close()


def connect(spec: ControllerSpec[R], reconciler: R, informers: Informers, queue: WorkQueue) -> None:
    """Lets the changes that the spec watches add their keys to the queue, first for all objects there are."""
    for watch in spec.watches:
        if isinstance(watch, Watch):
            informer = informers.of(watch.model, namespace=watch.namespace, field_selector=watch.field_selector)
            informer.add_handler(_enqueuer(watch, reconciler, queue))


def _enqueuer(watch: Watch[R, T], reconciler: R, queue: WorkQueue) -> Callable[[T | None, T | None], None]:
    def enqueue(old: T | None, new: T | None) -> None:
        for key in watch.keys(reconciler, old, new):
            queue.add_after(key, watch.delay_seconds)

    return enqueue


async def _tick(trigger: Every[R], reconciler: R, clock: Clock, queue: WorkQueue) -> None:
    while True:
        await clock.sleep(trigger.seconds(reconciler))
        for key in trigger.keys(reconciler):
            queue.add(key)


async def _work(name: str, reconciler: Reconciler, queue: WorkQueue) -> None:
    while True:
        key = await queue.get()
        try:
            result = await reconciler.reconcile(key)
        except Conflict as error:  # the cache was behind: normal, and the watch is about to bring the newer state
            log.debug("conflict", controller=name, key=key, error=str(error))
            queue.add_rate_limited(key)
        except (StatusError, ConnectionError, TimeoutError) as error:
            log.warning("reconcile failed", controller=name, key=key, error=str(error))
            queue.add_rate_limited(key)
        except Exception as error:
            log.exception("reconcile failed", error, controller=name, key=key)
            queue.add_rate_limited(key)
        else:
            queue.forget(key)
            if result.after_seconds:
                queue.add_after(key, result.after_seconds)
        finally:
            queue.done(key)
