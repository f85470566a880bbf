"""The `kubernetes` ServiceCIDR: the ranges that the API server was started with. The first server makes it.

Source: Kubernetes documentation, "Kubernetes Default Service CIDR Reconfiguration".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apimachinery.conditions import get_condition
from apimachinery.meta import ObjectMeta
from apimachinery.model import decode
from apimachinery.times import format_time
from apimachinery.validation import IPNetwork
from apiserver.main.bootstrap import create_missing
from apiserver.registry.apply import Apply
from apiserver.registry.changes import Edit
from apiserver.registry.stores import Stores
from apiserver.request.query import WriteOptions
from apiserver.request.user import APISERVER
from componentbase import logs
from componentbase.clock import Clock
from kubeapi.networking.servicecidr import DEFAULT_NAME, READY, ServiceCIDR, ServiceCIDRSpec

_STATUS_WRITE = WriteOptions(field_manager="kubernetes-service-cidr-controller", force=True, applies=True)

log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class DefaultServiceCIDR:
    stores: Stores
    ranges: Sequence[IPNetwork]
    clock: Clock

    async def ensure(self) -> None:
        """Creates the object where it is missing, adds a second family that is new, and tells that it is ready.

        Its ranges can't be changed otherwise: a server with others says so in its log and goes by the object.
        Raises: StatusError, StorageError.
        """
        store = self.stores.find("servicecidrs", "networking.k8s.io")
        wanted = [str(network) for network in self.ranges]
        made = ServiceCIDR(metadata=ObjectMeta(name=DEFAULT_NAME), spec=ServiceCIDRSpec(cidrs=wanted))
        await create_missing(store, made)
        stored = decode(ServiceCIDR, (await store.read("", DEFAULT_NAME)).value)
        cidrs = stored.spec.cidrs or []
        if cidrs != wanted:
            if len(cidrs) == 1 and wanted[0] == cidrs[0]:
                await store.update("", DEFAULT_NAME, Edit(lambda old: _with_ranges(old, wanted)), APISERVER)
            else:
                log.warning("other service ranges than the flags say", stored=",".join(cidrs), flags=",".join(wanted))
        if stored.metadata.deletionTimestamp is None and get_condition(stored.status.conditions, READY) is None:
            await self._tell_ready()

    async def _tell_ready(self) -> None:
        store = self.stores.find("servicecidrs", "networking.k8s.io")
        condition = {
            "type": READY,
            "status": "True",
            "message": "Kubernetes default Service CIDR is ready",
            "lastTransitionTime": format_time(int(self.clock.now())),
        }
        document = {
            "apiVersion": store.resource.api_version,
            "kind": store.resource.kind,
            "metadata": {"name": DEFAULT_NAME},
            "status": {"conditions": [condition]},
        }
        change = Apply(store.resource, "", DEFAULT_NAME, "status", document, _STATUS_WRITE, self.clock.now())
        await store.update("", DEFAULT_NAME, change, APISERVER, _STATUS_WRITE, subresource="status")


def _with_ranges(cidr: ServiceCIDR, ranges: list[str]) -> ServiceCIDR:
    changed = cidr.clone()
    changed.spec.cidrs = ranges
    return changed
