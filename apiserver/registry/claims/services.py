"""Claims the ClusterIP and node ports of Services, and gives them back when a Service no longer needs them.

Source: Kubernetes documentation, "Service": "Choosing your own IP address", "type: NodePort".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from ipaddress import ip_address, ip_network

from apimachinery.errors import FieldError, InternalError, StatusError, invalid, invalid_object
from apimachinery.validation import ip_family
from apiserver.registry.claims.addresses import AddressAllocator
from apiserver.registry.claims.allocator import Allocator, Exhausted, OutOfRange, Taken
from apiserver.registry.claims.ports import PortAllocator
from apiserver.registry.hooks import Hooks, Undo, nothing_to_undo
from apiserver.storage.interface import StorageError
from componentbase import logs
from kubeapi.core.service.allocation import (
    addresses_of,
    choose_families,
    needs_address,
    needs_health_port,
    needs_node_ports,
    ports_of,
)
from kubeapi.core.service.headless import HEADLESS
from kubeapi.core.service.model import Service
from kubeapi.core.service.validation import PORT_TAKEN

_HEALTH_PORT_STAYS = (
    "cannot change healthCheckNodePort on loadBalancer service with externalTraffic=Local during update"
)

log = logs.logger(__name__)


class ServiceHooks(Hooks):
    """`addresses`: family -> its allocator, the preferred family first."""

    def __init__(self, addresses: Mapping[str, AddressAllocator], ports: PortAllocator) -> None:
        self._addresses = addresses
        self._ports = ports

    async def begin_create(self, obj: Service, *, dry_run: bool) -> Undo:
        self._choose_families(obj, None)
        return await self._claim(obj, (), (), dry_run=dry_run)

    async def begin_update(self, obj: Service, old: Service, *, dry_run: bool) -> Undo:
        self._choose_families(obj, old)
        before, now = old.spec.healthCheckNodePort, obj.spec.healthCheckNodePort
        if needs_health_port(old) and needs_health_port(obj) and before != now:
            error = invalid("spec.healthCheckNodePort", now, _HEALTH_PORT_STAYS)
            raise invalid_object("Service", "", obj.name, [error])
        return await self._claim(obj, addresses_of(old), ports_of(old), dry_run=dry_run)

    async def after_update(self, obj: Service, old: Service) -> None:
        await self._release(old, addresses_of(obj), ports_of(obj))

    async def after_delete(self, obj: Service) -> None:
        await self._release(obj, (), ())

    def _choose_families(self, service: Service, old: Service | None) -> None:
        """Raises: Invalid."""
        if needs_address(service) and (errors := choose_families(service, old, list(self._addresses))):
            raise invalid_object("Service", "", service.name, errors)

    async def _release(self, service: Service, kept_addresses: Collection[str], kept_ports: Collection[str]) -> None:
        """The Service has been written already: a claim that can't be released now is left to `repair`."""
        try:
            for address in addresses_of(service):
                allocator = self._addresses.get(ip_family(address))
                if allocator is not None and address not in kept_addresses:
                    await allocator.release(address, service)
            for port in ports_of(service):
                if port not in kept_ports:
                    await self._ports.release(port, service)
        except (StorageError, StatusError) as error:
            log.warning("claims of a service not released", service=service.key, error=str(error))

    async def _claim(
        self, service: Service, addresses: Collection[str], ports: Collection[str], *, dry_run: bool
    ) -> Undo:
        """Claims what the Service has beyond what it had; all or nothing. Raises: Invalid, InternalError."""
        claims = _Claims(service, dry_run=dry_run)
        try:
            if needs_address(service):
                await self._claim_addresses(service, addresses, claims)
            await self._claim_ports(service, ports, claims)
        except StatusError:
            await claims.undo()
            raise
        return claims.undo if claims.claimed else nothing_to_undo

    async def _claim_addresses(self, service: Service, had: Collection[str], claims: _Claims) -> None:
        """One for each family of the Service, in that order."""
        spec = service.spec
        given = spec.clusterIPs or [spec.clusterIP or ""]
        if given[0] == HEADLESS:
            spec.clusterIP, spec.clusterIPs = HEADLESS, [HEADLESS]
            return
        addresses = []
        for index, family in enumerate(spec.ipFamilies or ()):
            address = given[index] if index < len(given) else ""
            if address not in had:  # a family that the cluster has no more may stay
                allocator = self._addresses[family]
                if address:
                    await claims.one(allocator, address, partial(_address_error, service, allocator, address))
                else:
                    address = await claims.any(allocator, "a serviceIP")
            addresses.append(address)
        spec.clusterIP, spec.clusterIPs = addresses[0], addresses

    async def _claim_ports(self, service: Service, had: Collection[str], claims: _Claims) -> None:
        spec = service.spec
        ports = spec.ports or () if needs_node_ports(service) else ()
        held = set(had)
        shared: dict[int, int] = {}  # by port: TCP and UDP of one port have one node port, as a DNS server needs
        for port in ports:
            if port.nodePort:
                shared.setdefault(port.port, port.nodePort)
        for index, port in enumerate(ports):
            port.nodePort = port.nodePort or shared.get(port.port)
            if port.nodePort:
                await self._claim_port(service, f"spec.ports[{index}].nodePort", port.nodePort, held, claims)
            else:
                port.nodePort = shared[port.port] = int(await claims.any(self._ports, "a nodePort"))
                held.add(str(port.nodePort))
        if needs_health_port(service):
            if spec.healthCheckNodePort:
                await self._claim_port(service, "spec.healthCheckNodePort", spec.healthCheckNodePort, held, claims)
            else:
                spec.healthCheckNodePort = int(await claims.any(self._ports, "a nodePort"))

    async def _claim_port(self, service: Service, path: str, port: int, held: set[str], claims: _Claims) -> None:
        if str(port) not in held:
            await claims.one(self._ports, str(port), lambda why: _port_error(self._ports, path, port, why))
            held.add(str(port))


class _Claims:
    """The claims that one write has made so far. A dry run only looks whether they could be made."""

    def __init__(self, service: Service, *, dry_run: bool) -> None:
        self.claimed: list[tuple[Allocator, str]] = []
        self._service = service
        self._dry_run = dry_run

    async def one(self, allocator: Allocator, value: str, error: Callable[[Exception], FieldError]) -> None:
        try:
            if self._dry_run:
                allocator.check(value)
                return
            await allocator.claim(value, self._service)
        except (Taken, OutOfRange) as why:
            raise invalid_object("Service", "", self._service.name, [error(why)]) from None
        self.claimed.append((allocator, value))

    async def any(self, allocator: Allocator, what: str) -> str:
        try:
            if self._dry_run:
                return allocator.any_free()
            value = await allocator.claim_any(self._service)
        except Exhausted:
            raise InternalError(f"Internal error occurred: failed to allocate {what}: range is full") from None
        self.claimed.append((allocator, value))
        return value

    async def undo(self) -> None:
        for allocator, value in self.claimed:
            await allocator.release(value, self._service)


def _address_error(service: Service, allocator: Allocator, address: str, why: Exception) -> FieldError:
    text = "provided IP is already allocated"
    if isinstance(why, OutOfRange):
        text = "the provided network does not match the current range"
        for pool in allocator.pools():
            if ip_address(address) in ip_network(pool.shown):  # the network's own address, or the broadcast
                text = f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {pool.shown}"
    return invalid("spec.clusterIPs", service.spec.clusterIPs or [address], f"failed to allocate IP {address}: {text}")


def _port_error(allocator: PortAllocator, path: str, port: int, why: Exception) -> FieldError:
    text = PORT_TAKEN
    if isinstance(why, OutOfRange):
        text = f"provided port is not in the valid range. The range of valid ports is {allocator.pool.shown}"
    return invalid(path, port, text)
