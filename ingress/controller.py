"""Runs the loop: informers say what has changed, one sync at a time brings the proxy to it, then Ingresses are told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from apimachinery.errors import Conflict, NotFound, StatusError
from apimachinery.meta import Object
from componentbase import logs, metrics
from componentbase.clock import Clock
from ingress.annotations import Complaint
from ingress.configuration import Place, render
from ingress.plan import Plan, World, make_plan, merge_complaints
from ingress.proxy import Proxy, ProxyError
from kubeapi.core.secret.model import Secret
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import SERVICE_NAME_LABEL, EndpointSlice
from kubeapi.networking.ingress import Ingress, IngressLoadBalancerIngress
from kubeapi.networking.ingressclass import IngressClass
from kubeclient.informer import Informers
from kubeclient.recorder import EventRecorder
from kubeclient.rest import RestClient

MIN_SYNC_SECONDS = 0.1  # between syncs: what changes meanwhile is one change of the proxy
RETRY_SECONDS = 5.0
OF_SERVICE = "service"

SYNC_DURATION = Histogram("ingress_sync_duration_seconds", "Time of one sync.", buckets=metrics.LATENCY_BUCKETS)
SYNC_FAILURES = Counter("ingress_sync_failures_total", "Syncs that failed.")
SERVED = Gauge("ingress_served", "Ingresses that are served.")

log = logs.logger(__name__)


class IngressController:
    """Serves the Ingresses of our classes at `published`, which are IP addresses or names."""

    def __init__(
        self,
        rest: RestClient,
        informers: Informers,
        recorder: EventRecorder,
        proxy: Proxy,
        place: Place,
        published: Sequence[IngressLoadBalancerIngress],
        clock: Clock,
    ) -> None:
        self._rest, self._recorder, self._proxy, self._place, self._clock = rest, recorder, proxy, place, clock
        self._published = list(published)
        self._ingresses = informers.of(Ingress)
        self._classes = informers.of(IngressClass)
        self._services = informers.of(Service)
        self._slices = informers.of(EndpointSlice, label_selector=SERVICE_NAME_LABEL)
        self._secrets = informers.of(Secret)
        self._slices.add_index(OF_SERVICE, lambda item: (item.service_key,))
        self._wake = asyncio.Event()
        self._plan = Plan()
        """Where the next change is to be seen."""
        self._done = Plan()
        """The last one that the proxy has taken."""
        self._told: dict[str, list[Complaint]] = {}
        self._problem = "nothing is served yet"
        for informer in (self._ingresses, self._classes):
            informer.add_handler(lambda old, new: self._wake.set())
        self._services.add_handler(lambda old, new: self._changed(Service, new or old))
        self._secrets.add_handler(lambda old, new: self._changed(Secret, new or old))
        self._slices.add_handler(lambda old, new: self._changed(Service, new or old))

    def check(self) -> str:
        """ "" while the proxy does what the API says."""
        return self._problem

    async def run(self) -> None:
        """Syncs until cancelled. Raises: FatalError if the proxy is not installed or does not start."""
        informers: Sequence[Any] = (self._ingresses, self._classes, self._services, self._slices, self._secrets)
        for informer in informers:
            await informer.wait_synced()  # a proxy made from half a list would refuse requests
        done = False
        while True:
            if done:
                await self._wake.wait()
            self._wake.clear()
            done = await self._sync()
            await self._clock.sleep(MIN_SYNC_SECONDS if done else RETRY_SECONDS)

    def _changed(self, kind: type, obj: Object | None) -> None:
        """Has a sync follow the change of something that was looked at."""
        if obj is not None:
            key = obj.service_key if isinstance(obj, EndpointSlice) else obj.key
            if (kind, key) in self._plan.looked_at:
                self._wake.set()

    async def _sync(self) -> bool:
        """Tells whether all went well."""
        world = World(
            self._ingresses.list(),
            self._classes.list(),
            self._services.get,
            lambda key: self._slices.by_index(OF_SERVICE, key),
            self._secrets.get,
        )
        try:
            with SYNC_DURATION.time():
                self._plan = make_plan(world)
                await self._proxy.apply(render(self._plan, self._place))
        except ProxyError as error:
            SYNC_FAILURES.inc()
            self._problem = str(error)
            log.error("proxy not changed", error=str(error))
            return False
        self._problem = ""
        SERVED.set(len(self._plan.served))
        before, self._done = self._done, self._plan
        self._tell(before)
        return await self._write_statuses(before)

    def _tell(self, before: Plan) -> None:
        for key, ingress in self._plan.served.items():
            if key not in before.served:
                self._recorder.event(ingress, "Normal", "Sync", "Scheduled for sync")
        for ingress, complaint in merge_complaints(self._plan, self._told):
            self._recorder.event(ingress, "Warning", complaint.reason, complaint.message)
        self._told = self._plan.complaints

    async def _write_statuses(self, before: Plan) -> bool:
        """Those that are served have our addresses, and those that no longer are have none."""
        well = True
        for ingress in self._plan.served.values():
            well &= await self._write_status(ingress, self._published)
        for key in before.served.keys() - self._plan.served.keys():
            ingress_left = self._ingresses.get(key)
            if ingress_left is not None and ingress_left.metadata.deletionTimestamp is None:
                well &= await self._write_status(ingress_left, [])
        return well

    async def _write_status(self, ingress: Ingress, addresses: list[IngressLoadBalancerIngress]) -> bool:
        """Tells whether the status is as it should be; what conflicted is looked at again, as it has changed."""
        if (ingress.status.loadBalancer.ingress or []) == addresses:
            return True
        changed = ingress.clone()
        changed.status.loadBalancer.ingress = addresses or None
        try:
            await self._rest.update(changed, "status")
        except (NotFound, Conflict):
            return True
        except (StatusError, ConnectionError, TimeoutError) as error:
            log.warning("status not written", ingress=ingress.key, error=str(error))
            return False
        return True
