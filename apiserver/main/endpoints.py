"""The `kubernetes` Service in `default`: through it pods find the API servers, all that run at the moment.

Every server keeps a short-lived key in etcd with its address; each writes the addresses it sees to the Service's
Endpoints and EndpointSlice. A server that dies is gone from them once its key has expired.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from apimachinery.errors import AlreadyExists, NotFound, StatusError
from apimachinery.meta import Object, ObjectMeta
from apimachinery.model import encode, from_dict
from apimachinery.resource import Resource
from apimachinery.validation import IPNetwork, ip_family
from apiserver.registry.changes import Edit
from apiserver.registry.store import Store
from apiserver.registry.stores import Stores
from apiserver.request.user import APISERVER
from apiserver.storage import CachedStorage
from apiserver.storage.interface import KeyExists, RevisionConflict, StorageError
from componentbase import logs
from kubeapi.discovery.endpointslice import SERVICE_NAME_LABEL

LEASE_SECONDS = 15  # a dead server's address stays this long
RENEW_SECONDS = 10.0
PORT_NAME = "https"

MASTER_LEASES: Resource[Object] = Resource(
    kind="MasterLease",
    plural="masterleases",
    model=Object,
    group="internal.apiserver.k8s.io",
    namespaced=False,
    storage_prefix="masterleases",
)

log = logs.logger(__name__)


class EndpointReconciler:
    """Serves one API server; `address` is its own. A loopback address leads nobody else here and is not published."""

    def __init__(
        self, stores: Stores, storage: CachedStorage, service_ranges: Sequence[IPNetwork], address: str, port: int
    ) -> None:
        self._stores = stores
        self._storage = storage
        self._service_ranges = service_ranges
        self._address = address
        self._port = port
        self._withdrawn = False
        self.published = not ip_address(address).is_loopback
        self._storage.register(MASTER_LEASES)

    async def create_service(self) -> None:
        """Creates the Service where it is not there; its ClusterIP is the first of the preferred range."""
        store = self._stores.find("services")
        if self._storage.peek(store.resource, "default", "kubernetes") is not None:
            return
        first = str(self._service_ranges[0].network_address + 1)
        document = {
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": {
                "clusterIP": first,
                "clusterIPs": [first],
                "ports": [{"name": PORT_NAME, "port": 443, "targetPort": self._port, "protocol": "TCP"}],
            },
        }
        try:
            await store.create("default", make_object(store.resource, document), APISERVER)
        except AlreadyExists:
            return  # another API server has just done so

    async def run(self) -> None:
        """Raises nothing that passes by itself: what failed is tried again at the next turn."""
        if not self.published:
            log.info("address not published: it is on loopback", address=self._address)
            return
        while not self._withdrawn:
            try:
                await self._renew()
                await self._publish(await self._addresses())
            except (StorageError, StatusError) as error:
                log.warning("endpoints of the kubernetes service not updated", error=str(error))
            await asyncio.sleep(RENEW_SECONDS)

    async def withdraw(self) -> None:
        """Before this server stops: takes its own address out."""
        self._withdrawn = True
        if not self.published:
            return
        try:
            entry = await self._storage.get_from_etcd(MASTER_LEASES, "", self._address)
            if entry is not None:
                await self._storage.delete(MASTER_LEASES, "", self._address, entry.revision)
            await self._publish([address for address in await self._addresses() if address != self._address])
        except (StorageError, StatusError) as error:
            log.warning("own address not withdrawn", error=str(error))

    async def _renew(self) -> None:
        lease = Object(
            kind=MASTER_LEASES.kind, apiVersion=MASTER_LEASES.api_version, metadata=ObjectMeta(name=self._address)
        )
        value = encode(lease)
        entry = await self._storage.get_from_etcd(MASTER_LEASES, "", self._address)
        try:
            if entry is None:
                await self._storage.create(MASTER_LEASES, "", self._address, value, ttl_seconds=LEASE_SECONDS)
            else:
                await self._storage.update(
                    MASTER_LEASES, "", self._address, value, entry.revision, ttl_seconds=LEASE_SECONDS
                )
        except (KeyExists, RevisionConflict):
            return  # a second server with this address renewed it meanwhile

    async def _addresses(self) -> list[str]:
        page = await self._storage.list(MASTER_LEASES, "")
        return sorted((entry.name for entry in page.entries), key=ip_address)

    async def _publish(self, addresses: list[str]) -> None:
        await _write(self._stores.find("endpoints"), self._endpoints(addresses))
        await _write(self._stores.find("endpointslices", "discovery.k8s.io"), self._slice(addresses))

    def _endpoints(self, addresses: list[str]) -> dict[str, Any]:
        ports = [{"name": PORT_NAME, "port": self._port, "protocol": "TCP"}]
        subset = {"addresses": [{"ip": address} for address in addresses], "ports": ports}
        labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
        return {"metadata": _meta(labels), **({"subsets": [subset]} if addresses else {})}

    def _slice(self, addresses: list[str]) -> dict[str, Any]:
        return {
            "metadata": _meta({SERVICE_NAME_LABEL: "kubernetes"}),
            "addressType": ip_family(self._address),
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
            "ports": [{"name": PORT_NAME, "port": self._port, "protocol": "TCP"}],
        }


def _meta(labels: dict[str, str]) -> dict[str, Any]:
    return {"name": "kubernetes", "namespace": "default", "labels": labels}


def make_object(resource: Resource[Any], document: dict[str, Any]) -> Any:
    """An object of the kind from plain JSON types, with its defaults."""
    obj = from_dict(resource.model, document)
    obj.kind, obj.apiVersion = resource.kind, resource.api_version
    resource.strategy.default(obj)
    return obj


async def _write(store: Store[Any], document: dict[str, Any]) -> None:
    """Creates the object or replaces all but its identity; an equal one is not written."""

    def replace(old: Any) -> Any:
        new = make_object(store.resource, document)
        new.metadata.resourceVersion = old.metadata.resourceVersion
        return new

    try:
        await store.update("default", "kubernetes", Edit(replace), APISERVER)
    except NotFound:
        await store.create("default", make_object(store.resource, document), APISERVER)
