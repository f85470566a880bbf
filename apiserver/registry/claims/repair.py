"""Looks after the addresses and ports of Services now and then; every API server does.

It claims what a Service has without a claim, drops claims without a Service, and tells about both by Events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from apimachinery.errors import StatusError
from apimachinery.meta import Object, ObjectMeta
from apimachinery.model import decode
from apimachinery.resource import resource_of
from apimachinery.times import format_time, parse_time
from apimachinery.validation import ip_family
from apiserver.registry.claims.addresses import IP_ADDRESSES, AddressAllocator, drop, parent_key
from apiserver.registry.claims.allocator import ABANDONED_SECONDS
from apiserver.registry.claims.ports import PortAllocator
from apiserver.registry.stores import Stores
from apiserver.request.user import APISERVER
from apiserver.storage import CachedStorage
from apiserver.storage.interface import StorageError
from componentbase import logs
from componentbase.clock import Clock
from kubeapi.core._references import ObjectReference
from kubeapi.core.event import Event, EventSource
from kubeapi.core.service.allocation import addresses_of, ports_of
from kubeapi.core.service.model import Service
from kubeapi.networking.ipaddress import ALLOCATOR, MANAGED_BY_LABEL, IPAddress
from kubeclient.recorder import event_name

REPAIR_SECONDS = 180.0
_ADDRESSES, _PORTS = "ipallocator-repair-controller", "portallocator-repair-controller"
_RECREATE = "please recreate service"

log = logs.logger(__name__)


class Repair:
    """`allocators`: family -> that of its addresses."""

    def __init__(
        self,
        storage: CachedStorage,
        stores: Stores,
        allocators: Mapping[str, AddressAllocator],
        ports: PortAllocator,
        clock: Clock,
    ) -> None:
        self._storage = storage
        self._stores = stores
        self._allocators = allocators
        self._ports = ports
        self._clock = clock

    async def run(self) -> None:
        await self._storage.wait_loaded()
        while True:
            await asyncio.sleep(REPAIR_SECONDS)
            try:
                await self.once()
            except (StorageError, StatusError) as error:
                log.warning("claims not checked", error=str(error))

    async def once(self) -> None:
        """Raises: StorageError, StatusError."""
        page = await self._storage.list(resource_of(Service), "")
        services = [decode(Service, entry.value) for entry in page.entries]
        await self._repair_addresses(services)
        await self._repair_ports(services)

    async def _repair_addresses(self, services: list[Service]) -> None:
        page = await self._storage.list(IP_ADDRESSES, "")
        claims = {entry.name: decode(IPAddress, entry.value) for entry in page.entries}
        by_key = {service.key: service for service in services}
        for claim in claims.values():
            if claim.labels.get(MANAGED_BY_LABEL) == ALLOCATOR:
                await self._drop_leaked(claim, by_key.get(parent_key(claim)))
        for service in services:
            for address in addresses_of(service):
                await self._repair_address(service, address, claims.get(address), by_key)

    async def _drop_leaked(self, claim: IPAddress, service: Service | None) -> None:
        """Drops the claim of an address that its Service does not have, unless that may be about to be written."""
        if service is not None and claim.name in addresses_of(service):
            return
        if self._clock.now() - parse_time(claim.metadata.creationTimestamp or "") <= ABANDONED_SECONDS:
            return
        parent = claim.spec.parentRef
        text = f"IPAddress {claim.name} appears to have been modified, not referencing a Service: cleaning up"
        if key := parent_key(claim):
            why = "has a wrong reference; cleaning up" if service else "appears to have leaked: cleaning up"
            text = f"IPAddress: {claim.name} for Service {key} {why}"
        log.warning("released an abandoned address", address=claim.name, parent=str(parent))
        await self._tell(_ADDRESSES, claim, "IPAddressNotAllocated", "IPAddressAllocation", text)
        await drop(self._stores.find(IP_ADDRESSES.plural, IP_ADDRESSES.group), claim)

    async def _repair_address(
        self, service: Service, address: str, claim: IPAddress | None, by_key: Mapping[str, Service]
    ) -> None:
        family = ip_family(address)
        allocator = self._allocators.get(family)
        if claim is not None:
            holder = by_key.get(parent_key(claim))
            if holder is not None and holder is not service and address in addresses_of(holder):
                text = f"Cluster IP [{family}]:{address} was assigned to multiple services; {_RECREATE}"
                await self._tell(_ADDRESSES, service, "ClusterIPAlreadyAllocated", "ClusterIPAllocation", text)
        elif allocator is None or not allocator.contains(address):
            text = f"Cluster IP [{family}]: {address} is not within any configured Service CIDR; {_RECREATE}"
            await self._tell(_ADDRESSES, service, "ClusterIPOutOfRange", "ClusterIPAllocation", text)
        elif await allocator.create(address, service):
            log.warning("claimed an address that a service had unclaimed", address=address, service=service.key)
            text = f"Cluster IP [{family}]: {address} is not allocated; repairing"
            await self._tell(_ADDRESSES, service, "ClusterIPNotAllocated", "ClusterIPAllocation", text)

    async def _repair_ports(self, services: list[Service]) -> None:
        used: dict[str, Service] = {}
        claimed = await self._ports.claimed()
        for service in services:
            for port in ports_of(service):
                if used.setdefault(port, service) is not service:
                    reason, text = "PortAlreadyAllocated", f"was assigned to multiple services; {_RECREATE}"
                elif not self._ports.contains(port):
                    shown = self._ports.pool.shown
                    reason, text = "PortOutOfRange", f"is not within the port range {shown}; {_RECREATE}"
                elif port not in claimed and await self._ports.create(port, service):
                    reason, text = "PortNotAllocated", "is not allocated; repairing"
                else:
                    continue
                log.warning("node port looked after", service=service.key, port=port, reason=reason)
                await self._tell(_PORTS, service, reason, "PortAllocation", f"Port {port} {text}")
        for port, entry in claimed.items():
            await self._ports.drop_abandoned(entry, used.get(port))

    async def _tell(self, component: str, obj: Object, reason: str, action: str, message: str) -> None:
        meta, resource = obj.metadata, resource_of(obj.__class__)
        now = format_time(self._clock.now())
        store: Any = self._stores.find("events")
        event = Event(
            kind="Event",
            apiVersion="v1",
            metadata=ObjectMeta(name=event_name(obj.name), namespace=obj.namespace or "default"),
            involvedObject=ObjectReference(
                kind=resource.kind,
                apiVersion=resource.api_version,
                namespace=meta.namespace,
                name=meta.name,
                uid=meta.uid,
            ),
            type="Warning",
            reason=reason,
            action=action,
            message=message,
            source=EventSource(component=component),
            reportingComponent=component,
            firstTimestamp=now,
            lastTimestamp=now,
            count=1,
        )
        await store.create(event.namespace, event, APISERVER)
