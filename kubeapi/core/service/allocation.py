"""What the server chooses for a Service, its address and node ports: when it has them, and how an update keeps them.

Source: Kubernetes documentation, "Service": "Choosing your own IP address", "type: NodePort".
"""

from __future__ import annotations

from apimachinery.errors import FieldError
from apimachinery.validation import Errors, Path, ip_family
from kubeapi.core.service.headless import HEADLESS
from kubeapi.core.service.model import Service, ServiceSpec

_REQUIRE_BOTH = "RequireDualStack"
_SINGLE = "SingleStack"
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


def address_of(service: Service) -> str:
    """ "" when the Service has no address of its own."""
    address = service.spec.clusterIP or ""
    return "" if address == HEADLESS else address


def choose_families(service: Service, old: Service | None) -> list[FieldError]:
    """Completes the address families of a Service and its policy about them; returns what an IPv4 cluster can't give.

    A headless Service without a selector may have endpoints of any family. `old` is the Service before an update.
    """
    spec, errors = service.spec, Errors()
    anywhere = spec.clusterIP == HEADLESS and not spec.selector
    policy = spec.ipFamilyPolicy = spec.ipFamilyPolicy or (_REQUIRE_BOTH if anywhere else _SINGLE)
    if old is not None:
        _release_second_family(errors, spec, old.spec)
    if policy == _SINGLE:
        for values, what in ((spec.clusterIPs, "cluster IPs"), (spec.ipFamilies, "IP families")):
            if len(values or ()) == 2:
                text = f"must be '{_REQUIRE_BOTH}' or 'PreferDualStack' when multiple {what} are specified"
                errors.invalid(_POLICY, policy, text)
    given = len(spec.ipFamilies or ())
    for index, address in enumerate(spec.clusterIPs or ()):
        if index >= given and ip_family(address) == "IPv6":
            errors.invalid(("spec", "clusterIPs", index), spec.clusterIPs, "IPv6 is not configured on this cluster")
    if errors:
        return errors
    if anywhere:
        families = spec.ipFamilies or ["IPv4"]
        if policy != _SINGLE:
            families = [*families, *(family for family in ("IPv4", "IPv6") if family not in families)]
        spec.ipFamilies = families
        return errors
    if policy == _REQUIRE_BOTH:
        errors.invalid(_POLICY, policy, "this cluster is not configured for dual-stack services")
    for index, family in enumerate(spec.ipFamilies or ()):
        if family != "IPv4":
            errors.invalid(("spec", "ipFamilies", index), family, "not configured on this cluster")
    spec.ipFamilies = spec.ipFamilies or ["IPv4"]
    return errors


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
    if needs_address(old) and not needs_address(new) and spec.clusterIP == before.clusterIP:
        spec.clusterIP = spec.clusterIPs = spec.ipFamilies = spec.ipFamilyPolicy = None
    if needs_node_ports(old) and not needs_node_ports(new) and spec.type != "LoadBalancer":
        held = {port.nodePort for port in before.ports or ()} | {None}
        if all(port.nodePort in held for port in spec.ports or ()):  # ports may come, go and change, node ports go
            for port in spec.ports or ():
                port.nodePort = None
    if needs_health_port(old) and not needs_health_port(new) and spec.healthCheckNodePort == before.healthCheckNodePort:
        spec.healthCheckNodePort = None
