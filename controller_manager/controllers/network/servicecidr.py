"""ServiceCIDR: tells that a range is ready, and keeps a deleted one until no Service has an address of it alone."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from apimachinery.conditions import is_true, set_condition
from apimachinery.meta import Condition
from apimachinery.times import format_time, parse_time
from controller_manager.writes import protect, write_status
from kubeapi.networking.ipaddress import ALLOCATOR, MANAGED_BY_LABEL, IPAddress
from kubeapi.networking.servicecidr import READY, ServiceCIDR
from kubeclient.controller import DONE, ControllerContext, ControllerSpec, Result, Watch, after, latest

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
GRACE_SECONDS = 10.0
"""A range goes so long after its deletion: every API server has learned by then that it gives no address of it."""
_HELD = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"


def contains(cidr: ServiceCIDR, address: str) -> bool:
    return any(ip_address(address) in ip_network(text) for text in cidr.spec.cidrs or ())


def is_held(cidr: ServiceCIDR, all_cidrs: Iterable[ServiceCIDR], addresses: Iterable[IPAddress]) -> bool:
    """Tells whether addresses of Services are in this range and in no other that stays."""
    others = [other for other in all_cidrs if other.name != cidr.name and other.metadata.deletionTimestamp is None]
    return any(
        contains(cidr, address.name) and not any(contains(other, address.name) for other in others)
        for address in addresses
        if address.labels.get(MANAGED_BY_LABEL) == ALLOCATOR
    )


class ServiceCIDRReconciler:
    def __init__(self, context: ControllerContext) -> None:
        self._rest, self._clock = context.rest, context.clock
        self._cidrs = context.informers.of(ServiceCIDR)
        self._addresses = context.informers.of(IPAddress)

    def changed_cidr(self, old: ServiceCIDR | None, new: ServiceCIDR | None) -> Iterable[str]:
        """Wakes the range, and those that are deleted: their addresses may have come into another."""
        return {latest(old, new).key, *self._deleted()}

    def changed_address(self, old: IPAddress | None, new: IPAddress | None) -> Iterable[str]:
        return self._deleted() if new is None else ()

    def _deleted(self) -> list[str]:
        return [cidr.key for cidr in self._cidrs.list() if cidr.metadata.deletionTimestamp is not None]

    async def reconcile(self, key: str) -> Result:
        cidr = self._cidrs.get(key)
        if cidr is None:
            return DONE
        deleted = cidr.metadata.deletionTimestamp
        if deleted is None:
            await protect(self._rest, cidr, FINALIZER, lambda: self._is_held(cidr))
            await self._tell(cidr, "True", "", "Kubernetes Service CIDR is ready")
            return DONE
        if await self._is_held(cidr):
            await self._tell(cidr, "False", "Terminating", _HELD)
            return DONE
        left = GRACE_SECONDS - (self._clock.now() - parse_time(deleted))
        if left > 0:
            return after(left)
        await protect(self._rest, cidr, FINALIZER, lambda: self._is_held(cidr))
        return DONE

    async def _is_held(self, cidr: ServiceCIDR) -> bool:
        return is_held(cidr, self._cidrs.list(), self._addresses.list())

    async def _tell(self, cidr: ServiceCIDR, ready: str, reason: str, message: str) -> None:
        if ready == "True" and is_true(cidr.status.conditions, READY):
            return  # for the `kubernetes` ServiceCIDR an API server has said so in words of its own
        now = format_time(int(self._clock.now()))
        condition = Condition(type=READY, status=ready, reason=reason, message=message, lastTransitionTime=now)
        status = cidr.status.clone()
        status.conditions = set_condition(status.conditions, condition)
        await write_status(self._rest, cidr, status)


CONTROLLER = ControllerSpec(
    "service-cidr-controller",
    ServiceCIDRReconciler,
    [
        Watch(ServiceCIDR, ServiceCIDRReconciler.changed_cidr),
        Watch(IPAddress, ServiceCIDRReconciler.changed_address),
    ],
    service_account="service-cidrs-controller",
)
