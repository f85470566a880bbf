"""When a range of addresses that is deleted may go."""

from __future__ import annotations

from apimachinery.meta import ObjectMeta
from controller_manager.controllers.network.servicecidr import is_held
from kubeapi.networking.ipaddress import ALLOCATOR, MANAGED_BY_LABEL, IPAddress
from kubeapi.networking.servicecidr import ServiceCIDR, ServiceCIDRSpec


def cidr(name: str, *ranges: str, deleted: bool = False) -> ServiceCIDR:
    meta = ObjectMeta(name=name, deletionTimestamp="2026-01-01T00:00:00Z" if deleted else None)
    return ServiceCIDR(metadata=meta, spec=ServiceCIDRSpec(cidrs=list(ranges)))


def address(name: str, manager: str = ALLOCATOR) -> IPAddress:
    return IPAddress(metadata=ObjectMeta(name=name, labels={MANAGED_BY_LABEL: manager}))


def test_a_range_is_held_by_addresses_that_no_other_range_has() -> None:
    going = cidr("going", "10.0.0.0/24", "fd00::/112", deleted=True)
    assert is_held(going, [going], [address("10.0.0.7")])
    assert is_held(going, [going], [address("fd00::7")])
    assert not is_held(going, [going], [address("10.0.1.7"), address("fd01::7")])
    assert not is_held(going, [going], [address("10.0.0.7", manager="somebody")])
    assert not is_held(going, [going, cidr("wider", "10.0.0.0/16")], [address("10.0.0.7")])
    assert is_held(going, [going, cidr("wider", "10.0.0.0/16", deleted=True)], [address("10.0.0.7")])
