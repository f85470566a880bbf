"""Finds a server behind a Service, for calls of this server's own: to aggregated API servers, and to webhooks.

It goes to an endpoint itself: where this server runs, no name of the cluster need resolve and no cluster address lead
anywhere.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from apimachinery.model import decode
from apimachinery.resource import resource_of
from apiserver.storage import CachedStorage
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

    def locate(self, namespace: str, name: str, port: int) -> Server:
        """Returns one of the ready servers behind a port of a Service, another one each time. Raises: NoServer."""
        title = f'service/{name} in "{namespace}"'
        entry = self._storage.peek(self._services, namespace, name)
        if entry is None:
            raise NoServer("ServiceNotFound", f"{title} is not present")
        service: Service = decode(self._services.model, entry.value)
        if service.spec.type == "ExternalName":
            return Server(service.spec.externalName or "", port, f"{name}.{namespace}.svc")
        wanted = next((item for item in service.spec.ports or () if item.port == port), None)
        if wanted is None:
            raise NoServer("ServicePortError", f"{title} is not listening on port {port}")
        slices = list(self._slices_of(namespace, name))
        if not slices:
            raise NoServer("EndpointsNotFound", f"cannot find endpointslices for {title}")
        addresses = list(_addresses(slices, wanted))
        if not addresses:
            text = f'endpointslices for {title} have no addresses with port name "{wanted.name or ""}"'
            raise NoServer("MissingEndpoints", text)
        host, number = random.choice(addresses)
        return Server(host, number, f"{name}.{namespace}.svc")

    def _slices_of(self, namespace: str, service: str) -> Iterator[EndpointSlice]:
        for entry in self._storage.latest_in_namespace(self._slices, namespace):
            if entry.labels.get(SERVICE_NAME_LABEL) == service:
                yield decode(self._slices.model, entry.value)


def _addresses(slices: list[Any], wanted: ServicePort) -> Iterator[tuple[str, int]]:
    """Yields address and port of each ready endpoint."""
    for slice_ in slices:
        for port in slice_.ports or ():
            if (port.name or "") != (wanted.name or "") or port.port is None:
                continue
            for endpoint in slice_.endpoints or ():
                if endpoint.conditions.ready is not False and endpoint.addresses:
                    yield endpoint.addresses[0], port.port
