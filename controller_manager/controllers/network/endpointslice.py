"""EndpointSlice: lists the pods behind each Service, in slices of bounded size."""

from __future__ import annotations

from collections.abc import Iterable

from controller_manager.controllers.network._endpointpods import BATCH_SECONDS, has_endpoints, pods_behind, services_of
from controller_manager.controllers.network._slices import (
    MANAGER,
    Plan,
    desired_endpoints,
    keys_of,
    plan_slices,
)
from controller_manager.controllers.network._slicewrites import perform
from controller_manager.controllers.network._triggertime import TriggerTimes, annotate
from kubeapi.core.node import Node
from kubeapi.core.pod.model import Pod
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointSlice
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, after, maps, own

SERVICE_INDEX = "service"
MISSING_NODE_SECONDS = 2.0
_service_keys = keys_of(MANAGER)


class EndpointSliceReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._clock = context.rest, context.clock
        self._most: int = context.options.max_endpoints_per_slice
        self._services = context.informers.of(Service)
        self._pods = context.informers.of(Pod)
        self._nodes = context.informers.of(Node)
        self._slices = context.informers.of(EndpointSlice)
        self._slices.add_index(SERVICE_INDEX, _service_keys)
        self._trigger_times = TriggerTimes()

    def services_of(self, old: Pod | None, new: Pod | None) -> Iterable[str]:
        """Wakes the Services whose endpoints a change of a pod may change."""
        return services_of(old, new, self._services)

    async def reconcile(self, key: str) -> Result:
        service = self._services.get(key)
        if service is None or not has_endpoints(service) or service.metadata.deletionTimestamp is not None:
            self._trigger_times.forget(key)
            return DONE  # the slices of a deleted Service are the garbage collector's
        pods = pods_behind(service, self._pods)
        triggered = self._trigger_times.next(service, pods)
        existing = self._slices.by_index(SERVICE_INDEX, key)
        families = service.spec.ipFamilies or ["IPv4"]
        missing = False
        for family in families:
            desired = desired_endpoints(service, pods, self._nodes.get, family)
            of_family = [each for each in existing if each.addressType == family]
            missing = missing or bool(desired.missing_nodes)
            plan = plan_slices(service, of_family, desired.endpoints, family, self._most)
            for each in (*plan.create, *plan.update):
                annotate(each, triggered)
            await perform(self._rest, plan, self._clock)
        stray = [each for each in existing if each.addressType not in families]
        await perform(self._rest, Plan(delete=stray), self._clock)
        return after(MISSING_NODE_SECONDS) if missing else DONE


CONTROLLER = ControllerSpec(
    "endpointslice-controller",
    EndpointSliceReconciler,
    [
        own(Service),
        maps(EndpointSlice, _service_keys),
        Watch(Pod, EndpointSliceReconciler.services_of, delay_seconds=BATCH_SECONDS),
    ],
    workers_flag="--concurrent-service-endpoint-syncs",
    subjects="Services, for their EndpointSlices",
)
