"""PURE: turns a Service and its EndpointSlices into what kube-proxy routes, a frozen `ServicePort` for each port."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_interface

from kubeapi.core.service.model import Service, ServiceSpec
from kubeapi.core.service.model import ServicePort as ServicePortSpec
from kubeapi.discovery.endpointslice import Endpoint as SliceEndpoint
from kubeapi.discovery.endpointslice import EndpointSlice

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
"""A Service with this label is routed by another proxy."""

AFFINITY_DEFAULT_SECONDS = 10800


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """Where a connection may end. `local` means on this node."""

    ip: str
    port: int
    local: bool = False

    def __str__(self) -> str:
        return f"{self.ip}:{self.port}"


@dataclass(frozen=True, slots=True)
class ServicePort:
    """One port of one Service, and the endpoints that traffic may go to from this node."""

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
    has_endpoints: bool = False
    """Whether any node has an endpoint: without one connections are rejected; policy Local drops what others serve."""

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


def service_ports(service: Service, slices: Iterable[EndpointSlice], node_name: str) -> tuple[ServicePort, ...]:
    """Returns what this node routes for the service: nothing for headless, ExternalName and foreign-proxy services.

    `slices` are the ones labelled with the service's name, in its namespace.
    Source: Kubernetes, "Virtual IPs and Service Proxies".
    """
    spec = service.spec
    if not _is_proxied(service, spec):
        return ()
    slices = [item for item in slices if item.addressType == "IPv4"]
    return tuple(_service_port(service, spec, port, slices, node_name) for port in spec.ports or ())


def _is_proxied(service: Service, spec: ServiceSpec) -> bool:
    if spec.type == "ExternalName" or PROXY_NAME_LABEL in service.labels:
        return False
    return _is_ipv4(spec.clusterIP or "")


def _is_ipv4(text: str) -> bool:
    """Tells whether `text` is an IPv4 address or CIDR: one line that iptables refuses would fail the whole restore."""
    try:
        return ip_interface(text).version == 4
    except ValueError:  # "" and "None" too
        return False


def _service_port(
    service: Service, spec: ServiceSpec, port: ServicePortSpec, slices: list[EndpointSlice], node_name: str
) -> ServicePort:
    candidates = _candidates(port, slices, node_name)
    internal_local = spec.internalTrafficPolicy == "Local"
    external_local = spec.externalTrafficPolicy == "Local"
    external_ips = tuple(ip for ip in spec.externalIPs or () if _is_ipv4(ip))
    load_balancer_ips = _load_balancer_ips(service, spec)
    external = bool(port.nodePort or external_ips or load_balancer_ips)
    usable = _usable(candidates)
    # Local pods' traffic to an external address of the service is short-cut to all endpoints whatever the policy.
    cluster_endpoints = usable if not internal_local or external else ()
    local_endpoints: tuple[Endpoint, ...] = ()
    if internal_local or (external and external_local):
        local_endpoints = _usable([item for item in candidates if item.endpoint.local])
    return ServicePort(
        namespace=service.namespace,
        service=service.name,
        name=port.name or "",
        protocol=port.protocol.lower(),
        cluster_ip=spec.clusterIP or "",
        port=port.port,
        node_port=port.nodePort or 0,
        external_ips=external_ips,
        load_balancer_ips=load_balancer_ips,
        source_ranges=tuple(cidr for cidr in map(str.strip, spec.loadBalancerSourceRanges or ()) if _is_ipv4(cidr)),
        affinity_seconds=_affinity_seconds(spec),
        internal_local=internal_local,
        external_local=external_local,
        health_check_node_port=(spec.healthCheckNodePort or 0) if external_local else 0,
        cluster_endpoints=cluster_endpoints,
        local_endpoints=local_endpoints,
        has_endpoints=bool(usable),
    )


def _load_balancer_ips(service: Service, spec: ServiceSpec) -> tuple[str, ...]:
    """Returns the ingress addresses that this node answers itself; mode "Proxy" leaves them to the balancer."""
    if spec.type != "LoadBalancer":
        return ()
    ingress = service.status.loadBalancer.ingress or ()
    return tuple(item.ip for item in ingress if item.ip and _is_ipv4(item.ip) and item.ipMode in (None, "VIP"))


def _affinity_seconds(spec: ServiceSpec) -> int:
    if spec.sessionAffinity != "ClientIP":
        return 0
    config = spec.sessionAffinityConfig
    client_ip = config.clientIP if config else None
    return (client_ip.timeoutSeconds if client_ip else None) or AFFINITY_DEFAULT_SECONDS


def _candidates(port: ServicePortSpec, slices: list[EndpointSlice], node_name: str) -> list[_Candidate]:
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
                candidate = _candidate(endpoint, slice_port.port, node_name)
                if candidate is None:
                    continue
                earlier = candidates.get(candidate.endpoint)
                if earlier is None or (candidate.ready and not earlier.ready):
                    candidates[candidate.endpoint] = candidate
    return [candidates[endpoint] for endpoint in sorted(candidates)]


def _candidate(endpoint: SliceEndpoint, port: int, node_name: str) -> _Candidate | None:
    """Reads one endpoint: an unset `ready` counts as true, an unset `serving` as `ready` (EndpointSlice API)."""
    if not endpoint.addresses or not _is_ipv4(endpoint.addresses[0]):
        return None
    conditions = endpoint.conditions
    ready = conditions.ready is not False
    serving = ready if conditions.serving is None else conditions.serving
    place = Endpoint(endpoint.addresses[0], port, endpoint.nodeName == node_name)
    return _Candidate(place, ready, serving and conditions.terminating is True)


def _usable(candidates: list[_Candidate]) -> tuple[Endpoint, ...]:
    """Returns the ready endpoints or, where there are none, those that still serve while they terminate."""
    ready = tuple(item.endpoint for item in candidates if item.ready)
    return ready or tuple(item.endpoint for item in candidates if item.draining)
