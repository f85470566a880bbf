"""EndpointSlice mirroring: shows Endpoints that someone keeps, for Services without a selector, as EndpointSlices."""

from __future__ import annotations

from controller_manager.controllers.network._mirroring import MIRROR, MOST_ADDRESSES, is_mirrored, plan_mirror
from controller_manager.controllers.network._slices import Plan, keys_of
from controller_manager.controllers.network._slicewrites import perform
from kubeapi.core.endpoints import Endpoints
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointSlice
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, maps, own

MIRROR_INDEX = "mirror"
_mirrored_keys = keys_of(MIRROR)


class EndpointSliceMirroringReconciler:
    """Keys are those of Endpoints and of their Services, which have the same name."""

    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder, self._clock = context.rest, context.recorder, context.clock
        self._services = context.informers.of(Service)
        self._endpoints = context.informers.of(Endpoints)
        self._slices = context.informers.of(EndpointSlice)
        self._slices.add_index(MIRROR_INDEX, _mirrored_keys)

    async def reconcile(self, key: str) -> Result:
        service, endpoints = self._services.get(key), self._endpoints.get(key)
        existing = self._slices.by_index(MIRROR_INDEX, key)
        plan, skipped = Plan(delete=list(existing)), 0
        if service is not None and not service.spec.selector and endpoints is not None and is_mirrored(endpoints):
            plan, skipped = plan_mirror(endpoints, existing)
            if skipped:
                text = (
                    f"A max of {MOST_ADDRESSES} addresses can be mirrored to EndpointSlices per Endpoints subset. "
                    f"{skipped} addresses were skipped"
                )
                self._recorder.event(endpoints, "Warning", "TooManyAddressesToMirror", text)
        await perform(self._rest, plan, self._clock)
        return DONE


CONTROLLER = ControllerSpec(
    "endpointslice-mirroring-controller",
    EndpointSliceMirroringReconciler,
    [own(Service), own(Endpoints), maps(EndpointSlice, _mirrored_keys)],
    workers_flag="--mirroring-concurrent-service-endpoint-syncs",
    subjects="Services, for the mirrors of their Endpoints",
    service_account="endpointslicemirroring-controller",
    event_source="endpoint-slice-mirroring-controller",
)
