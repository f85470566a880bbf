"""The one shape of a control loop: watches put keys into a queue, workers reconcile them, a Result says what follows.

`reconcile` gets a key and nothing else: it looks at what is, not at what happened, so a missed or doubled event costs a
look and no more.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from apimachinery.errors import Conflict, StatusError
from apimachinery.meta import Object, controller_of
from componentbase import logs
from componentbase.clock import Clock
from kubeclient.informer import Informers
from kubeclient.recorder import EventRecorder
from kubeclient.rest import RestClient
from kubeclient.workqueue import WorkQueue

T = TypeVar("T", bound=Object)

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """What follows a reconcile that did not fail: nothing, or another look in `after_seconds`."""

    after_seconds: float = 0.0


DONE = Result()


def after(seconds: float) -> Result:
    """Look again in so many seconds, if nothing else wakes the key before."""
    return Result(max(seconds, 0.001))


class Reconciler(Protocol):
    """Raises whatever stopped it; the key comes back with exponential backoff."""

    async def reconcile(self, key: str) -> Result: ...


@runtime_checkable
class Background(Protocol):
    """A reconciler with work of its own beside the keys (a periodic check); `run` must not return."""

    async def run(self) -> None: ...


@runtime_checkable
class QueueUser(Protocol):
    """A reconciler that adds keys by itself gets the queue before any work begins."""

    def use_queue(self, queue: WorkQueue) -> None: ...


@dataclass(frozen=True)
class Watch(Generic[T]):
    """Changes of one kind, and the keys they concern: `keys(old, new)`, of which one may be None."""

    model: type[T]
    keys: Callable[[T | None, T | None], Iterable[str]]


def own(model: type[T]) -> Watch[T]:
    """The key of the object itself."""

    def keys(old: T | None, new: T | None) -> Iterable[str]:
        obj = new if new is not None else old
        return () if obj is None else (obj.key,)

    return Watch(model, keys)


def owner(model: type[T], kind: str) -> Watch[T]:
    """The key of the object's controller, where that is of this kind (before and after the change)."""

    def owner_key(obj: T) -> str:
        ref = controller_of(obj)
        if ref is None or ref.kind != kind:
            return ""
        return f"{obj.namespace}/{ref.name}" if obj.namespace else ref.name

    def keys(old: T | None, new: T | None) -> Iterable[str]:
        return {owner_key(obj) for obj in (old, new) if obj is not None} - {""}

    return Watch(model, keys)


def maps(model: type[T], function: Callable[[T], Iterable[str]]) -> Watch[T]:
    """The keys that `function` gives for the object as it was and as it is."""

    def keys(old: T | None, new: T | None) -> Iterable[str]:
        return {key for obj in (old, new) if obj is not None for key in function(obj)}

    return Watch(model, keys)


@dataclass
class ControllerContext:
    """What a controller gets to work with. `options` are the daemon's flags."""

    rest: RestClient
    informers: Informers
    recorder: EventRecorder
    clock: Clock = field(default_factory=Clock)
    options: argparse.Namespace = field(default_factory=argparse.Namespace)


@dataclass(frozen=True)
class ControllerSpec:
    """A controller, as its file declares it: `CONTROLLER = ControllerSpec("replicaset-controller", …)`.

    `workers` keys are reconciled at once; `workers_option` names the flag (an attribute of the options) that overrides
    it. Keys of `watches` are added by changes of those kinds.
    """

    name: str
    factory: Callable[[ControllerContext], Reconciler]
    watches: Sequence[Watch[Any]] = ()
    workers: int = 5
    workers_option: str = ""

    def worker_count(self, options: argparse.Namespace) -> int:
        return int(getattr(options, self.workers_option, self.workers) if self.workers_option else self.workers)


async def run_controller(spec: ControllerSpec, context: ControllerContext) -> None:
    """Runs until cancelled. The informers run elsewhere, shared; work begins when their caches are complete."""
    queue = WorkQueue(spec.name)
    reconciler = spec.factory(context)
    if isinstance(reconciler, QueueUser):
        reconciler.use_queue(queue)
    informers = [context.informers.of(watch.model) for watch in spec.watches]
    for informer, watch in zip(informers, spec.watches, strict=True):
        informer.add_handler(_enqueuer(queue, watch))
    await context.informers.wait_synced()
    log.info("controller started", controller=spec.name, workers=spec.worker_count(context.options))
    try:
        async with asyncio.TaskGroup() as group:
            if isinstance(reconciler, Background):
                group.create_task(reconciler.run())
            for _ in range(spec.worker_count(context.options)):
                group.create_task(_work(spec.name, reconciler, queue))
    finally:
        queue.close()


def _enqueuer(queue: WorkQueue, watch: Watch[T]) -> Callable[[T | None, T | None], None]:
    def enqueue(old: T | None, new: T | None) -> None:
        for key in watch.keys(old, new):
            queue.add(key)

    return enqueue


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
