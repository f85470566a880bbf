"""What the server chooses for a Service, its address and node ports: when it has them, and how an update keeps them.

Source: Kubernetes documentation, "Service": "Choosing your own IP address", "type: NodePort".
"""

from __future__ import annotations

from collections.abc import Sequence

from apimachinery.errors import FieldError
from apimachinery.validation import Errors, Path, ip_family
from kubeapi.core.service.headless import HEADLESS
from kubeapi.core.service.model import Service, ServiceSpec

_REQUIRE_BOTH = "RequireDualStack"
_PREFER_BOTH = "PreferDualStack"
_SINGLE = "SingleStack"
_FAMILIES = ("IPv4", "IPv6")
_POLICY: Path = ("spec", "ipFamilyPolicy")


def needs_address(service: Service) -> bool:
    return service.spec.type != "ExternalName"


def needs_node_ports(service: Service) -> bool:
    spec = service.spec
    if spec.type == "LoadBalancer":
        return spec.allocateLoadBalancerNodePorts is not False
    return spec.type == "NodePort"


def needs_health_port(service: Service) -> bool:
    spec = service.spec
    return spec.type == "LoadBalancer" and spec.externalTrafficPolicy == "Local"


def addresses_of(service: Service) -> list[str]:
    """Every cluster address that it holds, one for each of its families; none of a headless one."""
    spec = service.spec
    addresses = spec.clusterIPs or ([spec.clusterIP] if spec.clusterIP else [])
    return [address for address in addresses if address != HEADLESS]


def choose_families(service: Service, old: Service | None, configured: Sequence[str]) -> list[FieldError]:
    """Completes the address families of a Service and its policy about them; returns what the cluster can't give.

    A headless Service without a selector may have endpoints of any family. `old` is the Service before an update,
    `configured` are the cluster's families, the preferred one first.
    """
    spec, errors = service.spec, Errors()
    if old is not None and _stays_preferred(service, old):
        return errors
    anywhere = spec.clusterIP == HEADLESS and not spec.selector
    policy = spec.ipFamilyPolicy = spec.ipFamilyPolicy or (_REQUIRE_BOTH if anywhere else _SINGLE)
    if old is not None:
        _release_second_family(errors, spec, old.spec)
    if policy == _SINGLE:
        for values, what in ((spec.clusterIPs, "cluster IPs"), (spec.ipFamilies, "IP families")):
            if len(values or ()) == 2:
                text = f"must be '{_REQUIRE_BOTH}' or '{_PREFER_BOTH}' when multiple {what} are specified"
                errors.invalid(_POLICY, policy, text)
    families = list(spec.ipFamilies or ())
    for index, address in list(enumerate(spec.clusterIPs or ()))[len(families) :]:
        if (family := ip_family(address)) in configured:
            families.append(family)
        elif family:
            text = f"{family} is not configured on this cluster"
            errors.invalid(("spec", "clusterIPs", index), spec.clusterIPs, text)
    if errors:
        return errors
    if not anywhere:
        if policy == _REQUIRE_BOTH and len(configured) < 2:
            errors.invalid(_POLICY, policy, "this cluster is not configured for dual-stack services")
        for index, family in enumerate(families):
            if family not in configured:
                errors.invalid(("spec", "ipFamilies", index), family, "not configured on this cluster")
    families = families or [configured[0]]
    if policy != _SINGLE:
        families += [each for each in (_FAMILIES if anywhere else configured) if each not in families]
    spec.ipFamilies = families
    return errors


def _stays_preferred(new: Service, old: Service) -> bool:
    """Tells whether an update leaves a Service alone that prefers both families: a cluster that gets or loses one does
    not change what its Services have."""

    def chosen(service: Service) -> tuple[object, ...]:
        spec = service.spec
        return spec.type, spec.ipFamilyPolicy, spec.clusterIPs, spec.ipFamilies

    return old.spec.ipFamilyPolicy == _PREFER_BOTH and chosen(new) == chosen(old)


def _release_second_family(errors: Errors, new: ServiceSpec, old: ServiceSpec) -> None:
    """Drops the second address and family under the policy SingleStack; under another, a client can't drop them."""
    if new.ipFamilyPolicy == _SINGLE:
        if new.clusterIPs == old.clusterIPs:
            new.clusterIPs = new.clusterIPs and new.clusterIPs[:1]
        if new.ipFamilies == old.ipFamilies:
            new.ipFamilies = new.ipFamilies and new.ipFamilies[:1]
        return
    for after, before, what in (
        (new.clusterIPs, old.clusterIPs, "cluster IP"),
        (new.ipFamilies, old.ipFamilies, "IP family"),
    ):
        if after and len(after) < len(before or ()):
            errors.invalid(_POLICY, new.ipFamilyPolicy, f"must be '{_SINGLE}' to release the secondary {what}")


def ports_of(service: Service) -> list[str]:
    """Every node port it holds, once."""
    ports = [port.nodePort for port in service.spec.ports or ()] + [service.spec.healthCheckNodePort]
    return list(dict.fromkeys(str(port) for port in ports if port))


def carry_over(obj: Service, old: Service) -> None:
    """Completes an update by what its client left out because the server had chosen it."""
    _drop_what_the_type_lost(obj, old)
    new, before = obj.spec, old.spec
    if needs_address(obj) and needs_address(old):
        if not new.clusterIP and not new.clusterIPs:
            new.clusterIP, new.clusterIPs = before.clusterIP, before.clusterIPs
        new.ipFamilies = new.ipFamilies or before.ipFamilies
        new.ipFamilyPolicy = new.ipFamilyPolicy or before.ipFamilyPolicy
    if needs_node_ports(obj) and needs_node_ports(old):
        used = {port.nodePort for port in new.ports or () if port.nodePort}
        by_name = {port.name: port.nodePort for port in before.ports or ()}
        for port in new.ports or ():
            number = by_name.get(port.name)
            if not port.nodePort and number and number not in used:
                port.nodePort = number
                used.add(number)
    if needs_health_port(obj) and needs_health_port(old) and not new.healthCheckNodePort:
        new.healthCheckNodePort = before.healthCheckNodePort


def _drop_what_the_type_lost(new: Service, old: Service) -> None:
    """A client that changes only `type` sends along what the server chose for the old type: it goes by itself."""
    spec, before = new.spec, old.spec
    if needs_address(old) and not needs_address(new):
        if spec.clusterIP == before.clusterIP:
            spec.clusterIP = spec.clusterIPs = None
        if spec.ipFamilies == before.ipFamilies:
            spec.ipFamilies = None
        if spec.ipFamilyPolicy == before.ipFamilyPolicy:
            spec.ipFamilyPolicy = None
    if needs_node_ports(old) and not needs_node_ports(new) and spec.type != "LoadBalancer":
        held = {port.nodePort for port in before.ports or ()} | {None}
        if all(port.nodePort in held for port in spec.ports or ()):  # ports may come, go and change, node ports go
            for port in spec.ports or ():
                port.nodePort = None
    if needs_health_port(old) and not needs_health_port(new) and spec.healthCheckNodePort == before.healthCheckNodePort:
        spec.healthCheckNodePort = None
