"""Checks of a Service.

Source: Kubernetes documentation, "Service", "Virtual IPs and Service Proxies".
"""

from __future__ import annotations

from apimachinery.names import dns_label_errors, dns_subdomain_errors, qualified_name_errors
from apimachinery.validation import CIDR_RULE, PROTOCOLS, Errors, Path, check_target_ip, ip_family, is_cidr, is_ip
from kubeapi.core.service.headless import HEADLESS
from kubeapi.core.service.model import Service, ServicePort, ServiceSpec, is_external

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_FAMILIES = ("IPv4", "IPv6")
_FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_TRAFFIC_POLICIES = ("Cluster", "Local")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_MAX_AFFINITY_SECONDS = 24 * 60 * 60
_SPEC: Path = ("spec",)
_SOURCE_RANGES: Path = ("spec", "LoadBalancerSourceRanges")  # upstream's spelling
PORT_TAKEN = "provided port is already allocated"
_NOT_FOR_NAMES = "may not be set for ExternalName services"
_LOAD_BALANCER_ONLY = "may only be used when `type` is 'LoadBalancer'"
_ONCE = "may not change once set"


def check_service(errors: Errors, service: Service) -> None:
    spec = service.spec
    headless = spec.clusterIP == HEADLESS
    if not spec.ports and not headless and spec.type != "ExternalName":
        errors.required((*_SPEC, "ports"))
    errors.check_one_of((*_SPEC, "type"), spec.type, TYPES)
    if headless and spec.type in ("LoadBalancer", "NodePort"):
        text = f"may not be set to 'None' for {spec.type} services"
        errors.invalid((*_SPEC, "clusterIPs", 0), HEADLESS, text)
    if spec.type == "ExternalName":
        _check_external_name(errors, spec)
    else:
        _check_cluster_ips(errors, spec)
    _check_ports(errors, spec)
    errors.check_labels((*_SPEC, "selector"), spec.selector)
    _check_affinity(errors, spec)
    _check_families(errors, spec)
    _check_traffic(errors, spec)
    _check_load_balancer(errors, spec)
    for index, address in enumerate(spec.externalIPs or ()):
        at = (*_SPEC, "externalIPs", index)
        if errors.check_ip(at, address):
            check_target_ip(errors, at, address)
    check_ingress(errors, service)


def check_service_update(errors: Errors, service: Service, old: Service) -> None:
    """Refuses changes of addresses while the type of the Service has them."""
    new, before = service.spec, old.spec
    if "ExternalName" in (new.type, before.type):
        return
    if before.clusterIP and not new.clusterIP:
        errors.invalid((*_SPEC, "clusterIPs", 0), [], "primary clusterIP can not be unset")
    elif before.clusterIP and new.clusterIP != before.clusterIP:
        errors.invalid((*_SPEC, "clusterIPs", 0), new.clusterIPs or [], _ONCE)
    _check_second(errors, new, before)
    if before.type == new.type == "LoadBalancer" and new.loadBalancerClass != before.loadBalancerClass:
        errors.invalid((*_SPEC, "loadBalancerClass"), new.loadBalancerClass, _ONCE)


def _check_second(errors: Errors, new: ServiceSpec, before: ServiceSpec) -> None:
    """Refuses other families, and another second address; either may be added, and released by SingleStack."""
    families, families_before = new.ipFamilies or [], before.ipFamilies or []
    addresses, addresses_before = new.clusterIPs or [], before.clusterIPs or []
    both = HEADLESS not in (new.clusterIP, before.clusterIP)
    if both and len(addresses) == len(addresses_before) == 2 and addresses[1] != addresses_before[1]:
        errors.invalid((*_SPEC, "clusterIPs", 1), addresses, _ONCE)
    for index, (family, family_before) in enumerate(zip(families, families_before, strict=False)):
        wrong_address = index < len(addresses) and ip_family(addresses[index]) not in (
            "",
            family,
        )  # an error of its own
        if family != family_before and not wrong_address:
            errors.invalid((*_SPEC, "ipFamilies", index), families, _ONCE)


def check_ingress(errors: Errors, service: Service) -> None:
    for index, ingress in enumerate(service.status.loadBalancer.ingress or ()):
        at: Path = ("status", "loadBalancer", "ingress", index)
        if ingress.ip:
            errors.check_ip((*at, "ip"), ingress.ip)
        if ingress.hostname:
            if is_ip(ingress.hostname):
                errors.invalid((*at, "hostname"), ingress.hostname, "must be a DNS name, not an IP address")
            errors.check_messages((*at, "hostname"), ingress.hostname, dns_subdomain_errors(ingress.hostname))
        if ingress.ipMode is not None and ingress.ipMode not in ("Proxy", "VIP"):
            errors.not_supported((*at, "ipMode"), ingress.ipMode, ("Proxy", "VIP"))


def _check_external_name(errors: Errors, spec: ServiceSpec) -> None:
    for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if getattr(spec, name):
            errors.forbidden((*_SPEC, name), _NOT_FOR_NAMES)
    if spec.clusterIP and not spec.clusterIPs:
        errors.forbidden((*_SPEC, "clusterIPs"), _NOT_FOR_NAMES)
    name = (spec.externalName or "").removesuffix(".")
    if not name:
        errors.required((*_SPEC, "externalName"))
    else:
        errors.check_messages((*_SPEC, "externalName"), name, dns_subdomain_errors(name))


def _check_cluster_ips(errors: Errors, spec: ServiceSpec) -> None:
    addresses = spec.clusterIPs or []
    at = (*_SPEC, "clusterIPs")
    if addresses and not spec.clusterIP:
        errors.invalid(at, addresses, "must be empty when `clusterIP` is not specified")
    elif addresses and addresses[0] != spec.clusterIP:
        errors.invalid(at, addresses, "first value must match `clusterIP`")
    if len(addresses) > 1 and HEADLESS in addresses:
        errors.invalid(at, addresses, "'None' must be the first and only value")
    for index, address in enumerate(addresses):
        if address and address != HEADLESS:
            errors.check_ip((*at, index), address)
    if len(addresses) > 2:
        errors.invalid(at, addresses, "may only hold up to 2 values")
    elif len(addresses) == 2 and ip_family(addresses[0]) == ip_family(addresses[1]):
        errors.invalid(at, addresses, "may specify no more than one IP for each IP family")


def _check_ports(errors: Errors, spec: ServiceSpec) -> None:
    ports = spec.ports or []
    names: set[str] = set()
    pairs: set[tuple[str, int]] = set()
    node_ports: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        at = (*_SPEC, "ports", index)
        _check_port(errors, at, port, names, several=len(ports) > 1)
        if (port.protocol, port.port) in pairs:
            errors.duplicate(at, {"protocol": port.protocol, "port": port.port})
        pairs.add((port.protocol, port.port))
        if not port.nodePort:
            continue
        if spec.type == "ClusterIP":
            errors.forbidden((*at, "nodePort"), "may not be used when `type` is 'ClusterIP'")
        elif (port.protocol, port.nodePort) in node_ports:
            errors.invalid((*at, "nodePort"), port.nodePort, PORT_TAKEN)
        else:
            errors.check_port((*at, "nodePort"), port.nodePort)
        node_ports.add((port.protocol, port.nodePort))


def _check_port(errors: Errors, path: Path, port: ServicePort, names: set[str], *, several: bool) -> None:
    if not port.name:
        if several:
            errors.required((*path, "name"))
    else:
        errors.check_messages((*path, "name"), port.name, dns_label_errors(port.name))
        if port.name in names:
            errors.duplicate((*path, "name"), port.name)
        names.add(port.name)
    errors.check_port((*path, "port"), port.port)
    errors.check_one_of((*path, "protocol"), port.protocol, PROTOCOLS)
    if port.targetPort is not None:
        errors.check_port_or_name((*path, "targetPort"), port.targetPort)
    if port.appProtocol:
        errors.check_messages((*path, "appProtocol"), port.appProtocol, qualified_name_errors(port.appProtocol))


def _check_affinity(errors: Errors, spec: ServiceSpec) -> None:
    errors.check_one_of((*_SPEC, "sessionAffinity"), spec.sessionAffinity, ("ClientIP", "None"))
    config = spec.sessionAffinityConfig
    if spec.sessionAffinity != "ClientIP" or config is None:
        return
    at = (*_SPEC, "sessionAffinityConfig", "clientIP", "timeoutSeconds")
    seconds = config.clientIP.timeoutSeconds if config.clientIP is not None else None
    if seconds is None:
        errors.required(at)
    elif not 0 < seconds <= _MAX_AFFINITY_SECONDS:
        errors.invalid(at, seconds, f"must be greater than 0 and less than {_MAX_AFFINITY_SECONDS}")


def _check_families(errors: Errors, spec: ServiceSpec) -> None:
    families = spec.ipFamilies or []
    for index, family in enumerate(families):
        if family not in _FAMILIES:
            errors.not_supported((*_SPEC, "ipFamilies", index), family, _FAMILIES)
        elif family in families[:index]:
            errors.duplicate((*_SPEC, "ipFamilies", index), family)
    for index, (address, family) in enumerate(zip(spec.clusterIPs or (), families, strict=False)):
        if address not in ("", HEADLESS) and family in _FAMILIES and ip_family(address) != family:
            text = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            errors.invalid((*_SPEC, "clusterIPs", index), address, text)
    policy = spec.ipFamilyPolicy
    if policy is not None and policy not in _FAMILY_POLICIES:
        errors.not_supported((*_SPEC, "ipFamilyPolicy"), policy, _FAMILY_POLICIES)


def _check_traffic(errors: Errors, spec: ServiceSpec) -> None:
    external = spec.externalTrafficPolicy
    if external and not is_external(spec):
        text = "may only be set for externally-accessible services"
        errors.invalid((*_SPEC, "externalTrafficPolicy"), external, text)
    elif is_external(spec):
        errors.check_one_of((*_SPEC, "externalTrafficPolicy"), external, _TRAFFIC_POLICIES)
    if spec.healthCheckNodePort:
        if spec.type != "LoadBalancer" or external != "Local":
            text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            errors.invalid((*_SPEC, "healthCheckNodePort"), spec.healthCheckNodePort, text)
        else:
            errors.check_port((*_SPEC, "healthCheckNodePort"), spec.healthCheckNodePort)
    internal = spec.internalTrafficPolicy
    if internal is not None and internal not in _TRAFFIC_POLICIES:
        errors.not_supported((*_SPEC, "internalTrafficPolicy"), internal, _TRAFFIC_POLICIES)
    distribution = spec.trafficDistribution
    if distribution is not None and distribution not in _DISTRIBUTIONS:
        errors.not_supported((*_SPEC, "trafficDistribution"), distribution, _DISTRIBUTIONS)


def _check_load_balancer(errors: Errors, spec: ServiceSpec) -> None:
    for index, cidr in enumerate(spec.loadBalancerSourceRanges or ()):
        if not is_cidr(cidr.strip()):
            errors.invalid((*_SOURCE_RANGES, index), cidr, CIDR_RULE)
    if spec.type == "LoadBalancer":
        if spec.loadBalancerClass:
            name = spec.loadBalancerClass
            errors.check_messages((*_SPEC, "loadBalancerClass"), name, qualified_name_errors(name))
        return
    if spec.loadBalancerSourceRanges:
        errors.forbidden(_SOURCE_RANGES, _LOAD_BALANCER_ONLY)
    for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
        if getattr(spec, field) is not None:
            errors.forbidden((*_SPEC, field), _LOAD_BALANCER_ONLY)
