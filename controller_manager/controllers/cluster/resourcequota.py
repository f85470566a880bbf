"""ResourceQuota: counts what the objects of a namespace use, and gives back what is not used any more.

The API server charges a quota when something is created or grows; this controller sets the limits that are enforced,
and corrects the use when objects go, and when a request failed after it had been charged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from apimachinery.meta import Object
from apimachinery.quantity import ResourceList
from controller_manager.controllers.cluster._countedkinds import CountedKinds
from controller_manager.controllers.cluster._quotausage import (
    IN_FLIGHT_SECONDS,
    Charges,
    Kind,
    kinds_of,
    settled,
    usage_of,
)
from kubeapi.core.pod.lifecycle import is_terminal
from kubeapi.core.pod.model import Pod
from kubeapi.core.resourcequota.amounts import among, same
from kubeapi.core.resourcequota.evaluator import Evaluator
from kubeapi.core.resourcequota.evaluators import evaluator_of
from kubeapi.core.resourcequota.model import ResourceQuota
from kubeapi.core.service.model import Service
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Every, Result, Source, Watch, after
from kubeclient.informer import Informer
from kubeclient.workqueue import WorkQueue

BATCH_SECONDS = 0.2  # objects often go together
_PODS, _SERVICES = ("", "pods"), ("", "services")


class ResourceQuotaReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._clock, self._options = context.rest, context.clock, context.options
        self._quotas = context.informers.of(ResourceQuota)
        self._full: dict[Kind, Informer[Any]] = {
            _PODS: context.informers.of(Pod),
            _SERVICES: context.informers.of(Service),
        }
        self._counted = CountedKinds(context)
        self._charges = Charges()
        self._usage_of_pods: dict[str, tuple[Pod, ResourceList]] = {}

    # What wakes it

    def changed(self, old: ResourceQuota | None, new: ResourceQuota | None) -> Iterable[str]:
        """Wakes a quota whose limits are not those enforced."""
        if new is None:
            if old is not None:
                self._charges.forget(old.key)
        else:
            self._charges.note(old, new, self._clock.monotonic())
            if old is None or old.spec.hard != new.spec.hard:
                yield new.key

    def charged(self, old: ResourceQuota | None, new: ResourceQuota | None) -> Iterable[str]:
        """Wakes a quota whose status has changed, once what it was charged for must be there."""
        if old is not None and new is not None and old.status.used != new.status.used:
            yield new.key

    def pod_changed(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        """Wakes the quotas that a pod may give something back to."""
        if old is None:
            return ()
        if new is None:
            self._usage_of_pods.pop(old.key, None)
        elif (
            not (is_terminal(new.status.phase) and not is_terminal(old.status.phase))
            and old.metadata.generation == new.metadata.generation
        ):
            return ()
        return self._quotas_about(_PODS, old.namespace)

    def service_changed(self, old: Service | None, new: Service | None) -> Iterable[str]:
        if old is None or (new is not None and old.spec == new.spec):
            return ()
        return self._quotas_about(_SERVICES, old.namespace)

    async def follow_kinds(self, queue: WorkQueue) -> None:
        """Wakes quotas when an object of a kind that they only count is gone, or their kind becomes known."""

        def wake(kind: Kind, namespace: str) -> None:
            for key in self._quotas_about(kind, namespace):
                queue.add_after(key, BATCH_SECONDS)

        def gone(kind: Kind, obj: Object) -> None:
            wake(kind, obj.namespace)

        await self._counted.follow(lambda kind: wake(kind, ""), gone)

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

    # What it does

    async def reconcile(self, key: str) -> Result:
        quota = self._quotas.get(key)
        if quota is None or quota.metadata.deletionTimestamp is not None:
            return DONE
        hard = dict(quota.spec.hard or {})
        counted = self._count(quota, hard)
        charged = self._charges.since(key, IN_FLIGHT_SECONDS, self._clock.monotonic())
        used = among(settled(quota.status.used or {}, counted, charged), hard)
        if not (same(quota.status.hard, hard) and same(quota.status.used, used)):
            changed = quota.clone()
            changed.status.hard, changed.status.used = hard, used
            await self._rest.update(changed, "status")
        return DONE if same(among(used, counted), counted) else after(IN_FLIGHT_SECONDS)

    def _count(self, quota: ResourceQuota, hard: ResourceList) -> ResourceList:
        """Adds up what the objects of the namespace use; kinds that are not known yet are left out."""
        counted: ResourceList = {}
        for kind in kinds_of(hard):
            informer = self._full.get(kind) or self._counted.informer(kind)
            evaluator = evaluator_of(*kind)
            if informer is None or evaluator is None:
                continue
            objects = ((obj, self._usage(evaluator, obj)) for obj in informer.list(quota.namespace))
            counted |= usage_of(quota, evaluator, objects)
        return counted

    def _usage(self, evaluator: Evaluator, obj: Any) -> ResourceList:
        """Remembers what a pod uses until it changes: there are many, and each costs a sum of its containers."""
        if not isinstance(obj, Pod) or obj.metadata.deletionTimestamp is not None:
            return evaluator.usage(obj, self._clock.now())
        known = self._usage_of_pods.get(obj.key)
        if known is None or known[0] is not obj:
            known = self._usage_of_pods[obj.key] = (obj, evaluator.usage(obj, self._clock.now()))
        return known[1]


CONTROLLER = ControllerSpec(
    "resourcequota-controller",
    ResourceQuotaReconciler,
    [
        Watch(ResourceQuota, ResourceQuotaReconciler.changed),
        Watch(ResourceQuota, ResourceQuotaReconciler.charged, delay_seconds=IN_FLIGHT_SECONDS),
        Watch(Pod, ResourceQuotaReconciler.pod_changed, delay_seconds=BATCH_SECONDS),
        Watch(Service, ResourceQuotaReconciler.service_changed, delay_seconds=BATCH_SECONDS),
        Source(ResourceQuotaReconciler.follow_kinds),
        Every(ResourceQuotaReconciler.period, ResourceQuotaReconciler.all_keys),
    ],
    workers_flag="--concurrent-resource-quota-syncs",
    subjects="ResourceQuotas",
)
