"""PURE: the names of Services, endpoints and pods, by the specification of Kubernetes' DNS, version 1.1.0.

Where the specification leaves something open, the answer is CoreDNS'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

from dnslib import CNAME, NS, PTR, RR, SOA, SRV, TXT

from clusterdns.corefile.options import KubernetesOptions, PodMode
from clusterdns.message import (
    NXDOMAIN,
    SERVFAIL,
    TYPE_A,
    TYPE_AAAA,
    TYPE_ANY,
    TYPE_NS,
    TYPE_SRV,
    Name,
    Reply,
    label,
    record,
    reverse_address,
)
from kubeapi.core.service.headless import HEADLESS
from kubeapi.core.service.model import Service
from kubeapi.discovery.endpointslice import Endpoint, EndpointSlice

SCHEMA_VERSION = "1.1.0"
NAME = "kubernetes"
DNS_LABEL_MAX = 63


_Wanted = Callable[[str, str], bool]


class Cluster(Protocol):
    """What is known of the cluster; lookups only."""

    @property
    def synced(self) -> bool: ...
    @property
    def serial(self) -> int:
        """Grows with every change."""

    def service(self, namespace: str, name: str) -> Service | None: ...
    def slices(self, namespace: str, name: str) -> Iterable[EndpointSlice]:
        """Those of the Service."""

    def has_namespace(self, name: str) -> bool: ...
    def has_pod(self, namespace: str, address: str) -> bool: ...
    def services_at(self, address: str) -> Iterable[Service]:
        """Those whose cluster IP it is."""

    def slices_at(self, address: str) -> Iterable[EndpointSlice]:
        """Those with an endpoint of the address."""


@dataclass(frozen=True, slots=True)
class _Target:
    """An address that a Service's name stands for, and the ports there."""

    name: Name
    address: str
    ports: tuple[tuple[str, str, int], ...]
    """Name, protocol in lower case, number."""


@dataclass(frozen=True, slots=True)
class Alias:
    """An ExternalName Service: the client is told another name, and what is there."""

    record: RR
    target: Name


@dataclass(frozen=True, slots=True)
class _Finding:
    """What a name has, whatever the type that was asked for. A name may exist without any records."""

    records: tuple[RR, ...] = ()
    additional: tuple[RR, ...] = ()
    alias: Alias | None = None


class Zone:
    """One zone of a `kubernetes` directive, as "cluster.local" or "in-addr.arpa"."""

    def __init__(self, zone: Name, options: KubernetesOptions, cluster: Cluster, servers: Sequence[str]) -> None:
        """`servers` are the addresses of the DNS itself."""
        self.zone, self._options, self._cluster, self._servers = zone, options, cluster, servers

    def lookup(self, name: Name, type: int) -> Reply | Alias:
        """Answers what is asked of a name in the zone: with its records, or why there are none."""
        if not self._cluster.synced:
            return Reply(SERVFAIL, plugin=NAME)
        finding = self._reverse(name) if self.zone[-1:] == ("arpa",) else self._forward(name, type)
        if finding is None:
            return Reply(NXDOMAIN, authority=(self._soa(),), authoritative=True, plugin=NAME)
        if finding.alias is not None:
            return finding.alias
        wanted = {TYPE_A, TYPE_AAAA} if type == TYPE_ANY else {type}
        answers = tuple(item for item in finding.records if item.rtype in wanted)
        if not answers:
            return Reply(authority=(self._soa(),), authoritative=True, plugin=NAME)
        additional = finding.additional if type in (TYPE_SRV, TYPE_NS) else ()
        return Reply(answers=answers, additional=additional, authoritative=True, plugin=NAME)

    def _soa(self) -> RR:
        ttl = self._options.ttl
        times = (self._cluster.serial, 7200, 1800, 86400, ttl)
        value = SOA(label(("ns", "dns", *self.zone)), label(("hostmaster", *self.zone)), times)
        return record(self.zone, ttl, value)

    def _forward(self, name: Name, type: int) -> _Finding | None:
        """Looks up a name of a Service, an endpoint, a pod, or of the DNS itself."""
        ttl, zone = self._options.ttl, self.zone
        match name[: len(name) - len(zone)]:
            case ():
                server = ("ns", "dns", *zone)
                own = (record(zone, ttl, NS(label(server))), self._soa())
                return _Finding(own, tuple(record(server, ttl, address) for address in self._servers))
            case ("dns-version",):
                return _Finding((record(name, ttl, TXT(SCHEMA_VERSION)),))
            case ("ns", "dns"):
                return _Finding(tuple(record(name, ttl, address) for address in self._servers))
            case ("svc",) | ("pod",) | ("dns",):
                return _Finding()
            case (namespace, "svc") | (namespace, "pod"):
                return _Finding() if self._cluster.has_namespace(namespace) else None
            case (address, namespace, "pod"):
                return self._pod(name, address, namespace)
            case (service, namespace, "svc"):
                return self._service(name, service, namespace, type)
            case (prefix, service, namespace, "svc") if prefix.startswith("_"):
                ports = self._ports(name, service, namespace, None, prefix)
                return _Finding() if ports and ports.records else None
            case (hostname, service, namespace, "svc"):
                return self._endpoint(name, hostname, service, namespace)
            case (port, protocol, service, namespace, "svc") if port.startswith("_") and protocol.startswith("_"):
                return self._ports(name, service, namespace, port, protocol)
        return None

    def _pod(self, name: Name, address: str, namespace: str) -> _Finding | None:
        """Looks up "10-244-1-2.NAMESPACE.pod"."""
        try:
            parsed = str(ip_address(address.replace("-", "." if address.count("-") == 3 else ":")))
        except ValueError:
            return None
        match self._options.pods:
            case PodMode.DISABLED:
                exists = False
            case PodMode.INSECURE:
                exists = self._cluster.has_namespace(namespace)
            case PodMode.VERIFIED:
                exists = self._cluster.has_pod(namespace, parsed)
        return _Finding((record(name, self._options.ttl, parsed),)) if exists else None

    def _service(self, name: Name, service_name: str, namespace: str, type: int) -> _Finding | None:
        service = self._cluster.service(namespace, service_name)
        if service is None:
            return None
        if service.spec.type == "ExternalName":
            return self._external(name, service.spec.externalName or "")
        targets = self._targets(service)
        if not targets:
            return None  # a headless Service without an endpoint that is ready
        addresses = tuple(record(name, self._options.ttl, target.address) for target in targets)
        if type != TYPE_SRV:
            return _Finding(addresses)
        return self._srv(name, targets, lambda port, protocol: True)

    def _external(self, name: Name, target: str) -> _Finding:
        try:
            ip_address(target)
        except ValueError:
            target_name = tuple(part for part in target.lower().split(".") if part)
            return _Finding(alias=Alias(record(name, self._options.ttl, CNAME(label(target_name))), target_name))
        return _Finding()  # an address is no name

    def _endpoint(self, name: Name, hostname: str, service_name: str, namespace: str) -> _Finding | None:
        """Looks up one endpoint, by its hostname or its address with dashes."""
        service = self._cluster.service(namespace, service_name)
        if service is None or service.spec.type == "ExternalName":
            return None
        found = [target for target in self._endpoints(service) if target.name == name]
        records = tuple(record(name, self._options.ttl, target.address) for target in found)
        return _Finding(records) if records else None

    def _ports(self, name: Name, service_name: str, ns: str, port: str | None, protocol: str) -> _Finding | None:
        """Looks up "_PORT._PROTOCOL.SERVICE.NAMESPACE.svc"; without a port, those of the protocol."""
        service = self._cluster.service(ns, service_name)
        if service is None:
            return None
        if service.spec.type == "ExternalName":
            return self._external(name, service.spec.externalName or "")
        finding = self._srv(
            name, self._targets(service), lambda a, b: (port is None or f"_{a}" == port) and f"_{b}" == protocol
        )
        return finding if finding.records else None

    def _srv(self, name: Name, targets: Sequence[_Target], wanted: _Wanted) -> _Finding:
        """Makes a record for each wanted port of each target; all targets of a port weigh the same."""
        ttl, chosen = self._options.ttl, []
        for target in targets:
            chosen += [(number, target) for port, protocol, number in target.ports if wanted(port, protocol)]
        each = max(100 // (len(targets) or 1), 1)
        places = dict.fromkeys((number, target.name) for number, target in chosen)
        records = tuple(record(name, ttl, SRV(0, each, number, label(host))) for number, host in places)
        additional = tuple(record(target.name, ttl, target.address) for target in dict.fromkeys(t for _, t in chosen))
        return _Finding(records, additional)

    def _targets(self, service: Service) -> list[_Target]:
        """Returns the Service's own addresses, or the endpoints of a headless one."""
        spec = service.spec
        if spec.clusterIP == HEADLESS:
            return self._endpoints(service)
        name = (service.name, service.namespace, "svc", *self.zone)
        ports = tuple((port.name or "", port.protocol.lower(), port.port) for port in spec.ports or ())
        addresses = spec.clusterIPs or ([spec.clusterIP] if spec.clusterIP else [])
        return [_Target(name, address, ports) for address in addresses]

    def _endpoints(self, service: Service) -> list[_Target]:
        """Returns the endpoints that are ready, those of a Service with publishNotReadyAddresses among them."""
        base = (service.name, service.namespace, "svc", *self.zone)
        targets: dict[tuple[Name, str], _Target] = {}
        for item in self._cluster.slices(service.namespace, service.name):
            if item.addressType == "FQDN":
                continue
            ports = tuple((p.name or "", (p.protocol or "TCP").lower(), p.port) for p in item.ports or () if p.port)
            for endpoint in item.endpoints or ():
                if endpoint.conditions.ready is False:
                    continue
                for address in endpoint.addresses:
                    name = (self._host(endpoint, address), *base)
                    known = targets.get((name, address))
                    both = tuple(dict.fromkeys((*known.ports, *ports))) if known else ports
                    targets[name, address] = _Target(name, address, both)
        return sorted(targets.values(), key=lambda target: ip_address(target.address).packed)

    def _host(self, endpoint: Endpoint, address: str) -> str:
        """Returns an endpoint's label: its hostname, its pod's name where that is wanted, or its address."""
        if endpoint.hostname:
            return endpoint.hostname.lower()
        ref = endpoint.targetRef
        pod = ref.name if self._options.endpoint_pod_names and ref and ref.kind == "Pod" else None
        if pod and len(pod) <= DNS_LABEL_MAX and "." not in pod:
            return pod
        return address.replace(".", "-").replace(":", "-").lower()

    def _reverse(self, name: Name) -> _Finding | None:
        """Looks up the names of an address: the Services that have it, or else headless ones' endpoints."""
        if name == self.zone:
            return _Finding((self._soa(),))
        address = reverse_address(name)
        if not address:
            return None
        cluster = self._options.domain
        hosts = [(item.name, item.namespace, "svc", *cluster) for item in self._cluster.services_at(address)]
        if not hosts:
            forward = Zone(cluster, self._options, self._cluster, self._servers)
            for item in self._cluster.slices_at(address):
                service = self._cluster.service(item.namespace, item.service_name)
                if service is not None and service.spec.clusterIP == HEADLESS:
                    hosts += [target.name for target in forward._endpoints(service) if target.address == address]
        records = tuple(record(name, self._options.ttl, PTR(label(host))) for host in dict.fromkeys(sorted(hosts)))
        return _Finding(records) if records else None

    def subject(self, name: Name) -> str:
        """Returns the Service, as "namespace/name", on which the answer to a name depends; "" when on others too."""
        own = name[: len(name) - len(self.zone)]
        return f"{own[-2]}/{own[-3]}" if own[-1:] == ("svc",) and len(own) >= 3 else ""
