"""Works out what each Service's ports are, again only for the Services that have changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from apimachinery.times import parse_time
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import EndpointSlice
from kubeproxy.topology import Place, ServicePort, service_ports

TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


class ServiceMap:
    """Holds every Service's ports."""

    def __init__(
        self,
        service: Callable[[str], Service | None],
        slices: Callable[[str], Iterable[EndpointSlice]],
        place: Place,
    ) -> None:
        self._service, self._slices, self._place = service, slices, place
        self._ports: dict[str, tuple[ServicePort, ...]] = {}
        self._dirty: set[str] = set()
        self._triggered: dict[str, float] = {}

    def mark(self, key: str) -> None:
        """Takes note that a Service or its endpoints have changed."""
        self._dirty.add(key)

    def mark_slice(self, old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for item in (old, new):
            if item is not None and (key := item.service_key):
                self._dirty.add(key)
                text = item.annotations.get(TRIGGER_TIME, "")
                if item is new and text and (old is None or old.annotations.get(TRIGGER_TIME) != text):
                    with suppress(ValueError):  # anybody may write the annotation
                        self._triggered.setdefault(key, parse_time(text))

    def move(self, place: Place) -> None:
        """Takes note of where the node is: hints of all Services' endpoints may have other answers."""
        if place != self._place:
            self._place = place
            self._dirty |= self._ports.keys()

    def update(self) -> dict[str, tuple[ServicePort, ...]]:
        """Works out the marked Services again; returns those whose ports have changed."""
        changes = {}
        for key in self._dirty:
            service = self._service(key)
            ports = service_ports(service, self._slices(key), self._place) if service else ()
            if ports != self._ports.get(key, ()):
                changes[key] = ports
                self._ports[key] = ports
                if not ports:
                    del self._ports[key]
        self._dirty.clear()
        return changes

    def triggers(self) -> list[float]:
        """Returns, once, when the changes of endpoints since the last call began (Unix seconds)."""
        times = list(self._triggered.values())
        self._triggered.clear()
        return times

    def ports(self) -> list[ServicePort]:
        return [port for ports in self._ports.values() for port in ports]
