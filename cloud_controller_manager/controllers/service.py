"""Service load balancers: gives Services of the type LoadBalancer an address of the cloud, and takes it back.

A finalizer keeps the Service until its balancer is gone. Services with a `loadBalancerClass` are left to others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from apimachinery.errors import NotFound
from apimachinery.model import to_dict
from cloudprovider.interface import CloudError, LoadBalancers
from componentbase import logs
from kubeapi.core.node import Node, takes_balanced_traffic
from kubeapi.core.service.model import LoadBalancerStatus, Service
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, own

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Balanced:
    """Describes what the balancer of a Service was last made from."""

    spec: dict[str, Any]
    nodes: tuple[str, ...]


def wants_balancer(service: Service) -> bool:
    return service.spec.type == "LoadBalancer" and not service.spec.loadBalancerClass


class ServiceBalancers:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._recorder = context.rest, context.recorder
        self._balancers: LoadBalancers | None = context.options.provider.load_balancers
        self._services = context.informers.of(Service)
        self._nodes = context.informers.of(Node)
        self._balanced: dict[str, Balanced] = {}
        """Key of a Service -> what its balancer was made from."""

    def balanced_services(self, old: Node | None, new: Node | None) -> Iterable[str]:
        """Lists the Services whose balancers have to learn of a node that takes traffic from now on, or no longer."""
        if (old is not None and takes_balanced_traffic(old)) is (new is not None and takes_balanced_traffic(new)):
            return ()
        return [service.key for service in self._services.list() if wants_balancer(service)]

    async def reconcile(self, key: str) -> Result:
        service = self._services.get(key)
        if service is None or self._balancers is None:
            self._balanced.pop(key, None)
            return DONE
        try:
            if service.metadata.deletionTimestamp is None and wants_balancer(service):
                await self._ensure(service, self._balancers)
            elif FINALIZER in (service.metadata.finalizers or ()):
                await self._release(service, self._balancers)
        except NotFound:
            return DONE
        except CloudError as error:
            message = f"Error syncing load balancer: {error}"
            self._recorder.event(service, "Warning", "SyncLoadBalancerFailed", message)
            raise
        return DONE

    async def _ensure(self, service: Service, balancers: LoadBalancers) -> None:
        nodes = sorted(
            (node for node in self._nodes.list() if takes_balanced_traffic(node)), key=lambda node: node.name
        )
        wanted = Balanced(to_dict(service.spec), tuple(node.name for node in nodes))
        before = self._balanced.get(service.key)
        if (
            before == wanted
            and service.status.loadBalancer.ingress
            and FINALIZER in (service.metadata.finalizers or ())
        ):
            return
        only_nodes = before is not None and before.spec == wanted.spec
        if not only_nodes:
            self._recorder.event(service, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer")
        service = await self._with_finalizer(service, wanted=True)
        try:
            status = await balancers.ensure(service, nodes)
        except CloudError as error:
            raise CloudError(f"failed to ensure load balancer: {error}") from None
        await self._write_status(service, status)
        self._balanced[service.key] = wanted
        if only_nodes:
            self._recorder.event(service, "Normal", "UpdatedLoadBalancer", "Updated load balancer with new hosts")
        else:
            self._recorder.event(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer")
        log.info("load balancer ensured", service=service.key, nodes=len(nodes))

    async def _release(self, service: Service, balancers: LoadBalancers) -> None:
        self._recorder.event(service, "Normal", "DeletingLoadBalancer", "Deleting load balancer")
        try:
            await balancers.delete(service)
        except CloudError as error:
            raise CloudError(f"failed to delete load balancer: {error}") from None
        self._balanced.pop(service.key, None)
        if service.metadata.deletionTimestamp is None:
            service = await self._write_status(service, LoadBalancerStatus())
        await self._with_finalizer(service, wanted=False)
        self._recorder.event(service, "Normal", "DeletedLoadBalancer", "Deleted load balancer")
        log.info("load balancer deleted", service=service.key)

    async def _write_status(self, service: Service, status: LoadBalancerStatus) -> Service:
        shown = [(item.ip, item.hostname) for item in status.ingress or ()]
        if shown == [(item.ip, item.hostname) for item in service.status.loadBalancer.ingress or ()]:
            return service
        changed = service.clone()
        changed.status.loadBalancer = status
        return await self._rest.update(changed, "status")

    async def _with_finalizer(self, service: Service, *, wanted: bool) -> Service:
        """Writes it by the subresource of the status: the role lets no more be changed."""
        finalizers = service.metadata.finalizers or []
        if wanted is (FINALIZER in finalizers):
            return service
        others = [item for item in finalizers if item != FINALIZER]
        patch = {
            "metadata": {
                "finalizers": [*others, *([FINALIZER] if wanted else [])],
                "resourceVersion": service.metadata.resourceVersion,
            }
        }
        return await self._rest.patch(Service, service.name, service.namespace, patch, subresource="status")


CONTROLLER = ControllerSpec(
    "service-lb-controller",
    ServiceBalancers,
    [own(Service), Watch(Node, ServiceBalancers.balanced_services)],
    workers=1,
    workers_flag="--concurrent-service-syncs",
    subjects="services",
    service_account="service-controller",
    event_source="service-controller",
)
