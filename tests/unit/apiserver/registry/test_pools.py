"""Pools of addresses and ports for Services."""

from __future__ import annotations

from ipaddress import IPv4Network

from apiserver.registry.claims.allocators import address_pool, port_pool


def test_a_pool_of_addresses_leaves_out_what_is_not_for_services() -> None:
    pool = address_pool(IPv4Network("10.0.0.0/24"))
    values = [pool.value(index) for index in range(pool.size)]
    assert (values[0], values[-1], len(set(values))) == ("10.0.0.2", "10.0.0.254", 253)
    assert pool.static_size == 16
    assert all(map(pool.contains, values))
    assert pool.contains("10.0.0.1")
    for other in ("10.0.0.0", "10.0.0.255", "10.0.1.1", "x", "", "::1", "10.0.0.2/32"):
        assert not pool.contains(other)
    assert address_pool(IPv4Network("10.0.0.0/16")).static_size == 256


def test_a_pool_of_ports() -> None:
    pool = port_pool(range(30000, 32768))
    assert (pool.size, pool.static_size, pool.value(0), pool.shown) == (2768, 86, "30000", "30000-32767")
    assert pool.contains("32767")
    assert not any(map(pool.contains, ("29999", "32768", "x", "-1")))
