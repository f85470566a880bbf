"""ResourceQuota: counts what the objects of a namespace use, and gives back what is not used any more.

The API server charges a quota when something is created or grows; this controller sets the limits that are enforced,
and corrects the use when objects go, and when a request failed after it had been charged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from apimachinery.meta import Object
from apimachinery.quantity import ResourceList
from controller_manager.controllers.cluster._countedkinds import READ_SECONDS, CountedKinds
from controller_manager.controllers.cluster._quotausage import IN_FLIGHT_SECONDS, Charges, settled, usage_of
from kubeapi._evaluators import SPECIAL, Kind, evaluator_of, kinds_of
from kubeapi.core.resourcequota.amounts import among, same
from kubeapi.core.resourcequota.evaluator import Evaluator
from kubeapi.core.resourcequota.model import ResourceQuota
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Every, Result, Source, Watch, after
from kubeclient.informer import Informer
from kubeclient.workqueue import WorkQueue

BATCH_SECONDS = 0.2  # objects often go together
_MODELS = [(kind, evaluator.model) for kind, evaluator in SPECIAL.items() if evaluator.model is not None]


class ResourceQuotaReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._clock, self._options = context.rest, context.clock, context.options
        self._quotas = context.informers.of(ResourceQuota)
        self._special: dict[Kind, Informer[Any]] = {kind: context.informers.of(model) for kind, model in _MODELS}
        self._counted = CountedKinds(context)
        self._charges = Charges()
        self._usages: dict[tuple[Kind, str], tuple[Object, ResourceList]] = {}

    # Watches

    def changed(self, old: ResourceQuota | None, new: ResourceQuota | None) -> Iterable[str]:
        """Notes what a quota was charged, and wakes one that says something else than before."""
        if new is None:
            if old is not None:
                self._charges.forget(old.key)
        else:
            self._charges.note(old, new, self._clock.monotonic())
            if old is None or old.spec != new.spec:
                yield new.key

    def charged(self, old: ResourceQuota | None, new: ResourceQuota | None) -> Iterable[str]:
        """Wakes a quota whose status has changed, once what it was charged for must be there."""
        if old is not None and new is not None and old.status.used != new.status.used:
            yield new.key

    def freed(self, kind: Kind, old: Object | None, new: Object | None) -> Iterable[str]:
        """Wakes the quotas that an object may give something back to."""
        if old is None or not SPECIAL[kind].may_free(old, new):
            return ()
        if new is None:
            self._usages.pop((kind, old.key), None)
        return self._quotas_about(kind, old.namespace)

    def added(self, kind: Kind, old: Object | None, new: Object | None) -> Iterable[str]:
        """Wakes the quotas about a new object: one that took long to be stored may have had its charge given back."""
        return self._quotas_about(kind, new.namespace) if old is None and new is not None else ()

    async def follow_kinds(self, queue: WorkQueue) -> None:
        """Wakes quotas when an object of a kind that they only count comes or goes, or their kind becomes known."""

        def wake(kind: Kind, namespace: str, seconds: float) -> None:
            for key in self._quotas_about(kind, namespace):
                queue.add_after(key, seconds)

        await self._counted.follow(
            on_known=lambda kind: wake(kind, "", BATCH_SECONDS),
            on_add=lambda kind, obj: wake(kind, obj.namespace, IN_FLIGHT_SECONDS),
            on_delete=lambda kind, obj: wake(kind, obj.namespace, BATCH_SECONDS),
        )

    def _quotas_about(self, kind: Kind, namespace: str) -> Iterator[str]:
        """`namespace` "" stands for all."""
        for quota in self._quotas.list(namespace):
            if kind in kinds_of(quota.spec.hard or ()):
                yield quota.key

    def all_keys(self) -> Iterable[str]:
        return [quota.key for quota in self._quotas.list()]

    def period(self) -> float:
        seconds: float = self._options.resource_quota_sync_period
        return seconds

    # Reconciling

    async def reconcile(self, key: str) -> Result:
        quota = self._quotas.get(key)
        if quota is None or quota.metadata.deletionTimestamp is not None:
            return DONE
        hard = dict(quota.spec.hard or {})
        kinds = kinds_of(hard)
        counted = self._count(quota, kinds)
        if not same(quota.status.hard, hard) and any(map(self._is_pending, kinds)):
            return after(READ_SECONDS)  # limits without a use would refuse everything; the kinds wake it before
        charged = self._charges.since(key, IN_FLIGHT_SECONDS, self._clock.monotonic())
        used = among(settled(quota.status.used or {}, counted, charged), hard)
        if not (same(quota.status.hard, hard) and same(quota.status.used, used)):
            changed = quota.clone()
            changed.status.hard, changed.status.used = hard, used
            await self._rest.update(changed, "status")
        return DONE if same(among(used, counted), counted) else after(IN_FLIGHT_SECONDS)

    def _is_pending(self, kind: Kind) -> bool:
        return kind not in self._special and self._counted.is_pending(kind)

    def _count(self, quota: ResourceQuota, kinds: Iterable[Kind]) -> ResourceList:
        """Adds up what the objects of the namespace use; kinds that are not known yet are left out."""
        counted: ResourceList = {}
        for kind in kinds:
            informer = self._special[kind] if kind in self._special else self._counted.informer(kind)
            evaluator = evaluator_of(*kind)
            if informer is None or evaluator is None:
                continue
            objects = ((obj, self._usage(kind, evaluator, obj)) for obj in informer.list(quota.namespace))
            counted |= usage_of(quota, evaluator, objects)
        return counted

    def _usage(self, kind: Kind, evaluator: Evaluator, obj: Object) -> ResourceList:
        """Remembers what an object uses until it changes: each pod costs a sum of its containers."""
        if evaluator.model is None or obj.metadata.deletionTimestamp is not None:
            return evaluator.usage(obj, self._clock.now())
        cached = self._usages.get((kind, obj.key))
        if cached is None or cached[0] is not obj:
            cached = self._usages[(kind, obj.key)] = (obj, evaluator.usage(obj, self._clock.now()))
        return cached[1]


def _freed(kind: Kind) -> Callable[[ResourceQuotaReconciler, Object | None, Object | None], Iterable[str]]:
    return lambda reconciler, old, new: reconciler.freed(kind, old, new)


def _added(kind: Kind) -> Callable[[ResourceQuotaReconciler, Object | None, Object | None], Iterable[str]]:
    return lambda reconciler, old, new: reconciler.added(kind, old, new)


CONTROLLER = ControllerSpec(
    "resourcequota-controller",
    ResourceQuotaReconciler,
    [
        Watch(ResourceQuota, ResourceQuotaReconciler.changed),
        Watch(ResourceQuota, ResourceQuotaReconciler.charged, delay_seconds=IN_FLIGHT_SECONDS),
        *(Watch(model, _freed(kind), delay_seconds=BATCH_SECONDS) for kind, model in _MODELS),
        *(Watch(model, _added(kind), delay_seconds=IN_FLIGHT_SECONDS) for kind, model in _MODELS),
        Source(ResourceQuotaReconciler.follow_kinds),
        Every(ResourceQuotaReconciler.period, ResourceQuotaReconciler.all_keys),
    ],
    workers_flag="--concurrent-resource-quota-syncs",
    subjects="ResourceQuotas",
)
