"""Endpoints: lists the pods behind each Service in one object, for clients that predate EndpointSlices."""

from __future__ import annotations

from collections.abc import Iterable

from apimachinery.errors import AlreadyExists, Conflict, Forbidden, NotFound, namespace_is_terminating
from controller_manager.controllers.network._endpointpods import BATCH_SECONDS, has_endpoints, pods_behind, services_of
from controller_manager.controllers.network._subsets import MANAGED_BY_LABEL, MANAGER, wanted_endpoints
from controller_manager.controllers.network._triggertime import TriggerTimes, annotate
from controller_manager.ownership import delete_surely
from kubeapi.core.endpoints import Endpoints
from kubeapi.core.pod.model import Pod
from kubeapi.core.service.model import Service
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, maps, own


def _managed(endpoints: Endpoints) -> Iterable[str]:
    """Returns the key of its Service, which has the same name; nothing for Endpoints that somebody else keeps."""
    return (endpoints.key,) if endpoints.labels.get(MANAGED_BY_LABEL) == MANAGER else ()


class EndpointsReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._clock = context.rest, context.clock
        self._services = context.informers.of(Service)
        self._pods = context.informers.of(Pod)
        self._endpoints = context.informers.of(Endpoints)
        self._trigger_times = TriggerTimes()

    def services_of(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        """Wakes the Services whose endpoints a change of a pod may change."""
        return services_of(old, new, self._services)

    async def reconcile(self, key: str) -> Result:
        service, current = self._services.get(key), self._endpoints.get(key)
        if service is None:
            self._trigger_times.forget(key)
            if current is not None and _managed(current):
                await delete_surely(self._rest, current, self._clock)
            return DONE
        if not has_endpoints(service) or service.metadata.deletionTimestamp is not None:
            return DONE
        pods = pods_behind(service, self._pods)
        triggered = self._trigger_times.next(service, pods)
        desired = wanted_endpoints(service, pods, current)
        if current is None:
            annotate(desired, triggered)
            await self._create(desired)
        elif (desired.subsets, desired.labels, desired.annotations) != (
            current.subsets or None,
            current.labels,
            current.annotations,
        ):
            annotate(desired, triggered)
            try:
                await self._rest.update(desired)
            except NotFound:
                raise Conflict("the Endpoints are gone and the cache is behind") from None
        return DONE

    async def _create(self, endpoints: Endpoints) -> None:
        try:
            await self._rest.create(endpoints)
        except AlreadyExists:
            raise Conflict("the cache is behind") from None
        except Forbidden as error:
            if not namespace_is_terminating(error):
                raise


CONTROLLER = ControllerSpec(
    "endpoints-controller",
    EndpointsReconciler,
    [
        own(Service),
        maps(Endpoints, _managed),
        Watch(Pod, EndpointsReconciler.services_of, delay_seconds=BATCH_SECONDS),
    ],
    workers_flag="--concurrent-endpoint-syncs",
    subjects="Services, for their Endpoints",
    service_account="endpoint-controller",
)
