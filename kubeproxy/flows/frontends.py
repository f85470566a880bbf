"""PURE: where connections to an address end, for some of the service ports, kept up to date by changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kubeproxy.topology import Balance, Endpoint, ServicePort

Address = tuple[str, int]
"""What a client connects to, address and port; a NodePort has address ""."""
Targets = dict[Address, tuple[Endpoint, ...]]


def udp_targets(port: ServicePort) -> Targets:
    """Returns where datagrams may go: pods reach external addresses by a short cut to all endpoints."""
    return _targets(port, port.endpoints) if port.protocol == "udp" else {}


def _targets(port: ServicePort, external: tuple[Endpoint, ...]) -> Targets:
    targets: Targets = {(port.cluster_ip, port.port): port.internal_endpoints}
    targets |= {(address, port.port): external for address in (*port.external_ips, *port.load_balancer_ips)}
    if port.node_port:
        targets["", port.node_port] = external
    return targets


def least_connections_targets(port: ServicePort) -> Targets:
    """Returns where this node's own proxy leads. Under policy Local without a local endpoint only pods get there."""
    if port.balance is not Balance.LEAST_CONNECTIONS:
        return {}
    return _targets(port, port.external_endpoints or port.cluster_endpoints)


class Frontends:
    """The targets of every port that `targets` picks."""

    def __init__(self, targets: Callable[[ServicePort], Targets]) -> None:
        self._targets_of = targets
        self._of_service: dict[str, Targets] = {}
        self._all: Targets = {}

    def __bool__(self) -> bool:
        return bool(self._all)

    def update(self, changes: Mapping[str, tuple[ServicePort, ...]]) -> list[Address]:
        """Takes over the changes; returns the addresses that have other targets now, or none any more."""
        changed: dict[Address, None] = {}
        new: Targets = {}
        for key, ports in changes.items():
            own: Targets = {}
            for port in ports:
                own |= self._targets_of(port)
            old = self._of_service.pop(key, {})
            if own:
                self._of_service[key] = own
            for address in old:
                if address not in own:
                    self._all.pop(address, None)
                    changed[address] = None
            new |= {address: endpoints for address, endpoints in own.items() if old.get(address) != endpoints}
        self._all |= new
        return [*(changed | dict.fromkeys(new))]

    def find(self, address: str, port: int) -> tuple[Endpoint, ...] | None:
        """Returns where connections to this address go; None if it is not of a Service."""
        endpoints = self._all.get((address, port))
        return endpoints if endpoints is not None else self._all.get(("", port))
