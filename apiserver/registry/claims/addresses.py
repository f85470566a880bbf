"""ClusterIPs: each is an IPAddress object. The ranges are those of the ServiceCIDRs in use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from ipaddress import ip_network

from apimachinery.errors import AlreadyExists, Conflict, NotFound
from apimachinery.meta import DeleteOptions, Object, ObjectMeta, Preconditions
from apimachinery.model import decode
from apimachinery.resource import Resource, resource_of
from apiserver.registry.claims.allocator import Allocator
from apiserver.registry.claims.pools import Pool, address_pool
from apiserver.registry.store import Store
from apiserver.request.user import APISERVER
from apiserver.storage import CachedStorage
from kubeapi.networking.ipaddress import (
    ALLOCATOR,
    FAMILY_LABEL,
    MANAGED_BY_LABEL,
    IPAddress,
    IPAddressSpec,
    ParentReference,
)
from kubeapi.networking.servicecidr import ServiceCIDR, is_usable

IP_ADDRESSES: Resource[IPAddress] = resource_of(IPAddress)
SERVICE_CIDRS: Resource[ServiceCIDR] = resource_of(ServiceCIDR)


class AddressAllocator(Allocator):
    """Serves one family."""

    def __init__(self, family: str, storage: CachedStorage, addresses: Callable[[], Store[IPAddress]]) -> None:
        """`addresses` returns the store of IPAddresses, once there is one."""
        super().__init__()
        self._family = family
        self._storage = storage
        self._addresses = addresses
        self._pools: list[Pool] = []
        self._pools_state = -1

    def pools(self) -> Sequence[Pool]:
        state = self._storage.changed(SERVICE_CIDRS)
        if state != self._pools_state:
            cidrs = [decode(ServiceCIDR, entry.value) for entry in self._storage.snapshot(SERVICE_CIDRS)]
            self._pools, self._pools_state = pools_of(cidrs, self._family), state
        return self._pools

    def is_taken(self, value: str) -> bool:
        return self._storage.peek(IP_ADDRESSES, "", value) is not None

    def taken(self) -> Collection[str]:
        return [entry.name for entry in self._storage.snapshot(IP_ADDRESSES)]

    async def create(self, value: str, owner: Object) -> bool:
        parent = ParentReference(resource="services", namespace=owner.namespace, name=owner.name)
        address = IPAddress(
            kind=IP_ADDRESSES.kind,
            apiVersion=IP_ADDRESSES.api_version,
            metadata=ObjectMeta(name=value, labels={FAMILY_LABEL: self._family, MANAGED_BY_LABEL: ALLOCATOR}),
            spec=IPAddressSpec(parentRef=parent),
        )
        try:
            await self._addresses().create("", address, APISERVER)
        except AlreadyExists:
            return False
        return True

    async def release(self, value: str, owner: Object) -> None:
        entry = await self._storage.get_from_etcd(IP_ADDRESSES, "", value)
        if entry is None:
            return
        address = decode(IPAddress, entry.value)
        if parent_key(address) == owner.key:
            await drop(self._addresses(), address)


async def drop(store: Store[IPAddress], address: IPAddress) -> None:
    """Deletes the IPAddress as it was read; leaves it where somebody has changed or released it since."""
    as_read = Preconditions(uid=address.metadata.uid, resourceVersion=address.metadata.resourceVersion)
    try:
        await store.delete("", address.name, DeleteOptions(preconditions=as_read), APISERVER)
    except (NotFound, Conflict):
        return


def parent_key(address: IPAddress) -> str:
    """Returns "namespace/name" of the Service that has the address; "" where something else has it."""
    parent = address.spec.parentRef or ParentReference()
    return f"{parent.namespace}/{parent.name}" if parent.resource == "services" and not parent.group else ""


def pools_of(cidrs: Sequence[ServiceCIDR], family: str) -> list[Pool]:
    """Returns a pool for each range in use, of the oldest ServiceCIDR first."""
    in_use = [cidr for cidr in cidrs if is_usable(cidr)]
    in_use.sort(key=lambda cidr: (cidr.metadata.creationTimestamp or "", cidr.name))
    networks = [ip_network(text) for cidr in in_use for text in cidr.spec.cidrs or ()]
    return [address_pool(network) for network in networks if f"IPv{network.version}" == family]
