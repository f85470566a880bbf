"""Finds a server behind a Service, for calls of this server's own: to aggregated API servers, and to webhooks.

It goes to an endpoint itself: where this server runs, no name of the cluster need resolve and no cluster address lead
anywhere.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from apimachinery.model import decode
from apimachinery.resource import resource_of
from apiserver.storage import CachedStorage
from apiserver.storage.interface import Entry
from kubeapi.core.service.model import Service, ServicePort
from kubeapi.discovery.endpointslice import SERVICE_NAME_LABEL, EndpointSlice


class NoServer(Exception):
    """A Service leads nowhere. `reason` is one CamelCase word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Server:
    """A server that a Service leads to."""

    host: str
    port: int
    name: str
    """The name that its certificate must have."""


class ServiceLocator:
    def __init__(self, storage: CachedStorage) -> None:
        self._services, self._slices = resource_of(Service), resource_of(EndpointSlice)
        self._storage = storage
        self._seen: tuple[int, int] = (-1, -1)
        self._found: dict[tuple[str, str, int], list[Server]] = {}
        """What has been looked up since a Service or slice last changed."""

    def locate(self, namespace: str, name: str, port: int) -> Server:
        """Returns one of the ready servers behind a port of a Service, another one each time. Raises: NoServer."""
        seen = self._storage.changed(self._services), self._storage.changed(self._slices)
        if seen != self._seen:
            self._seen, self._found = seen, {}
        key = namespace, name, port
        if key not in self._found:
            self._found[key] = self._look_up(namespace, name, port)
        return random.choice(self._found[key])

    def state(self, namespace: str, name: str) -> object:
        """Returns what differs once the Service or one of its slices has changed."""
        entry = self._storage.peek(self._services, namespace, name)
        slices = [(slice_.name, slice_.revision) for slice_ in self._slices_of(namespace, name)]
        return entry.revision if entry is not None else 0, slices

    def _look_up(self, namespace: str, name: str, port: int) -> list[Server]:
        """Raises: NoServer."""
        title = f'service/{name} in "{namespace}"'
        entry = self._storage.peek(self._services, namespace, name)
        if entry is None:
            raise NoServer("ServiceNotFound", f"{title} is not present")
        service: Service = decode(self._services.model, entry.value)
        if service.spec.type == "ExternalName":
            return [Server(service.spec.externalName or "", port, f"{name}.{namespace}.svc")]
        wanted = next((item for item in service.spec.ports or () if item.port == port), None)
        if wanted is None:
            raise NoServer("ServicePortError", f"{title} is not listening on port {port}")
        slices = [decode(EndpointSlice, entry.value) for entry in self._slices_of(namespace, name)]
        if not slices:
            raise NoServer("EndpointsNotFound", f"cannot find endpointslices for {title}")
        servers = [Server(host, number, f"{name}.{namespace}.svc") for host, number in _addresses(slices, wanted)]
        if not servers:
            text = f'endpointslices for {title} have no addresses with port name "{wanted.name or ""}"'
            raise NoServer("MissingEndpoints", text)
        return servers

    def _slices_of(self, namespace: str, service: str) -> Iterator[Entry]:
        for entry in self._storage.latest_in_namespace(self._slices, namespace):
            if entry.labels.get(SERVICE_NAME_LABEL) == service:
                yield entry


def _addresses(slices: Iterable[EndpointSlice], wanted: ServicePort) -> Iterator[tuple[str, int]]:
    """Yields address and port of each ready endpoint."""
    for slice_ in slices:
        for port in slice_.ports or ():
            if (port.name or "") != (wanted.name or "") or port.port is None:
                continue
            for endpoint in slice_.endpoints or ():
                if endpoint.conditions.ready is not False and endpoint.addresses:
                    yield endpoint.addresses[0], port.port
