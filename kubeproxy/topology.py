"""PURE: turns a Service and its EndpointSlices into what kube-proxy routes, a frozen `ServicePort` for each port."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_interface

from kubeapi.core.service.model import Service, ServiceSpec
from kubeapi.core.service.model import ServicePort as ServicePortSpec
from kubeapi.discovery.endpointslice import Endpoint as SliceEndpoint
from kubeapi.discovery.endpointslice import EndpointSlice
from kubeproxy.settings import FAMILIES, Family

PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
"""A Service with this label is routed by another proxy."""

BALANCE_ANNOTATION = "mini-kubernetes.io/balance"
"""On a Service: one of `Balance`. An unknown value counts as random."""

AFFINITY_DEFAULT_SECONDS = 10800


class Balance(StrEnum):
    """The ways to choose an endpoint for a new connection."""

    RANDOM = "random"
    ROUND_ROBIN = "round-robin"
    LEAST_CONNECTIONS = "least-connections"
    """For TCP without session affinity; others are balanced at random."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where kube-proxy runs, as hints of endpoints speak of it."""

    node: str
    zone: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """Where a connection may end. `local` means on this node."""

    ip: str
    port: int
    local: bool = False

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of one Service in one address family, and the endpoints that traffic may go to from this node."""

    namespace: str
    service: str
    name: str
    """The port's name; "" when it has none."""
    protocol: str
    """Lower case, as iptables wants it: "tcp", "udp", "sctp"."""
    cluster_ip: str
    port: int
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    load_balancer_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    """CIDRs that may use the load balancer's addresses; empty for everyone."""
    affinity_seconds: int = 0
    """How long a client keeps its endpoint (`sessionAffinity: ClientIP`); 0 for no affinity."""
    internal_local: bool = False
    external_local: bool = False
    health_check_node_port: int = 0
    cluster_endpoints: tuple[Endpoint, ...] = ()
    local_endpoints: tuple[Endpoint, ...] = ()
    """Filled only where a Local policy needs them."""
    balance: Balance = Balance.RANDOM
    has_endpoints: bool = False
    """Whether any node has an endpoint: without one connections are rejected; policy Local drops what others serve."""

    ready_here: int = 0
    """The ready endpoints on this node, for those who ask `health_check_node_port`."""

    @property
    def family(self) -> Family:
        return 6 if ":" in self.cluster_ip else 4

    @property
    def full_name(self) -> str:
        """ "namespace/service:port", or without the colon for an unnamed port: what comments and chain names use."""
        base = f"{self.namespace}/{self.service}"
        return f"{base}:{self.name}" if self.name else base

    @property
    def externally_accessible(self) -> bool:
        return bool(self.node_port or self.external_ips or self.load_balancer_ips)

    @property
    def internal_endpoints(self) -> tuple[Endpoint, ...]:
        return self.local_endpoints if self.internal_local else self.cluster_endpoints

    @property
    def external_endpoints(self) -> tuple[Endpoint, ...]:
        return self.local_endpoints if self.external_local else self.cluster_endpoints

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Every endpoint that some rule of this port leads to, without duplicates, in a stable order."""
        return tuple(dict.fromkeys((*self.cluster_endpoints, *self.local_endpoints)))


@dataclass(frozen=True, slots=True)
class _Candidate:
    endpoint: Endpoint
    ready: bool
    draining: bool
    """Serving although terminating: used only where nothing is ready."""
    nodes: frozenset[str] = frozenset()
    zones: frozenset[str] = frozenset()
    """The nodes and zones that it should serve, by its hints."""


def service_ports(service: Service, slices: Iterable[EndpointSlice], place: Place) -> tuple[ServicePort, ...]:
    """Returns what this node routes for the service: nothing for headless, ExternalName and foreign-proxy services.

    `slices` are the ones labelled with the service's name, in its namespace.
    Source: Kubernetes, "Virtual IPs and Service Proxies".
    """
    spec = service.spec
    if spec.type == "ExternalName" or PROXY_NAME_LABEL in service.labels:
        return ()
    slices = list(slices)
    ports = []
    for family in FAMILIES:
        addresses = (ip for ip in spec.clusterIPs or (spec.clusterIP or "",) if _is_of(family, ip))
        if address := next(addresses, ""):
            own = [item for item in slices if item.addressType == f"IPv{family}"]
            ports += [_service_port(service, family, address, port, own, place) for port in spec.ports or ()]
    return tuple(ports)


def _is_of(family: Family, text: str) -> bool:
    """Tells whether `text` is an address or CIDR of this family: a line that the kernel refuses fails a whole sync."""
    try:
        return ip_interface(text).version == family
    except ValueError:  # "" and "None" too
        return False


def _service_port(
    service: Service,
    family: Family,
    cluster_ip: str,
    port: ServicePortSpec,
    slices: list[EndpointSlice],
    place: Place,
) -> ServicePort:
    spec = service.spec
    candidates = _candidates(port, slices, family, place.node)
    internal_local = spec.internalTrafficPolicy == "Local"
    external_local = spec.externalTrafficPolicy == "Local"
    external_ips = tuple(ip for ip in spec.externalIPs or () if _is_of(family, ip))
    load_balancer_ips = _load_balancer_ips(service, family)
    external = bool(port.nodePort or external_ips or load_balancer_ips)
    here = [item for item in candidates if item.endpoint.local]
    # Local pods' traffic to an external address of the service is short-cut to all endpoints whatever the policy.
    cluster_endpoints = _hinted(_usable(candidates), place) if not internal_local or external else []
    local_endpoints = _usable(here) if internal_local or (external and external_local) else []
    ranges = map(str.strip, spec.loadBalancerSourceRanges or ())
    return ServicePort(
        namespace=service.namespace,
        service=service.name,
        name=port.name or "",
        protocol=port.protocol.lower(),
        cluster_ip=cluster_ip,
        port=port.port,
        node_port=port.nodePort or 0,
        external_ips=external_ips,
        load_balancer_ips=load_balancer_ips,
        source_ranges=tuple(cidr for cidr in ranges if _is_of(family, cidr)),
        affinity_seconds=_affinity_seconds(spec),
        internal_local=internal_local,
        external_local=external_local,
        health_check_node_port=(spec.healthCheckNodePort or 0) if external_local else 0,
        cluster_endpoints=tuple(item.endpoint for item in cluster_endpoints),
        local_endpoints=tuple(item.endpoint for item in local_endpoints),
        balance=_balance(service, port),
        has_endpoints=bool(_usable(candidates)),
        ready_here=len({item.endpoint.ip for item in here if item.ready}) if spec.healthCheckNodePort else 0,
    )


def _balance(service: Service, port: ServicePortSpec) -> Balance:
    try:
        balance = Balance(service.annotations.get(BALANCE_ANNOTATION, ""))
    except ValueError:
        return Balance.RANDOM
    by_relay = port.protocol == "TCP" and service.spec.sessionAffinity != "ClientIP"
    return balance if balance is not Balance.LEAST_CONNECTIONS or by_relay else Balance.RANDOM


def _load_balancer_ips(service: Service, family: Family) -> tuple[str, ...]:
    """Returns the ingress addresses that this node answers itself; mode "Proxy" leaves them to the balancer."""
    if service.spec.type != "LoadBalancer":
        return ()
    ingress = service.status.loadBalancer.ingress or ()
    return tuple(item.ip for item in ingress if item.ip and _is_of(family, item.ip) and item.ipMode in (None, "VIP"))


def _affinity_seconds(spec: ServiceSpec) -> int:
    if spec.sessionAffinity != "ClientIP":
        return 0
    config = spec.sessionAffinityConfig
    client_ip = config.clientIP if config else None
    return (client_ip.timeoutSeconds if client_ip else None) or AFFINITY_DEFAULT_SECONDS


def _candidates(port: ServicePortSpec, slices: list[EndpointSlice], family: Family, node_name: str) -> list[_Candidate]:
    """Returns all endpoints of the port, one per address and port number, in order of address.

    A pod that moves between slices is in two of them for a moment: the ready mention wins.
    """
    candidates: dict[Endpoint, _Candidate] = {}
    for item in slices:
        for slice_port in item.ports or ():
            same_name = (slice_port.name or "") == (port.name or "")
            if not same_name or (slice_port.protocol or "TCP") != port.protocol or not slice_port.port:
                continue
            for endpoint in item.endpoints or ():
                if not endpoint.addresses or not _is_of(family, endpoint.addresses[0]):
                    continue
                candidate = _candidate(endpoint, slice_port.port, node_name)
                earlier = candidates.get(candidate.endpoint)
                if earlier is None or (candidate.ready and not earlier.ready):
                    candidates[candidate.endpoint] = candidate
    return [candidates[endpoint] for endpoint in sorted(candidates)]


def _candidate(endpoint: SliceEndpoint, port: int, node_name: str) -> _Candidate:
    """Reads one endpoint: an unset `ready` counts as true, an unset `serving` as `ready` (EndpointSlice API)."""
    conditions, hints = endpoint.conditions, endpoint.hints
    ready = conditions.ready is not False
    serving = ready if conditions.serving is None else conditions.serving
    return _Candidate(
        Endpoint(endpoint.addresses[0], port, endpoint.nodeName == node_name),
        ready,
        serving and conditions.terminating is True,
        frozenset(item.name for item in hints.forNodes or ()) if hints else frozenset(),
        frozenset(item.name for item in hints.forZones or ()) if hints else frozenset(),
    )


def _usable(candidates: list[_Candidate]) -> list[_Candidate]:
    """Returns the ready endpoints or, where there are none, those that still serve while they terminate."""
    return [item for item in candidates if item.ready] or [item for item in candidates if item.draining]


def _hinted(candidates: list[_Candidate], place: Place) -> list[_Candidate]:
    """Returns the endpoints that by their hints should serve this node, or else its zone, or else all.

    Hints count when all endpoints have them and some are for this place. Those that terminate are used without.
    """
    if not all(item.ready for item in candidates):
        return candidates
    for hints, wanted in (
        ([item.nodes for item in candidates], place.node),
        ([item.zones for item in candidates], place.zone),
    ):
        if all(hints) and any(wanted in names for names in hints):
            return [item for item, names in zip(candidates, hints, strict=True) if wanted in names]
    return candidates
