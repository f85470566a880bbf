"""Pools of addresses and ports for Services."""

from __future__ import annotations

from ipaddress import ip_network

from apiserver.registry.claims.pools import address_pool, port_pool


def test_a_pool_of_addresses_leaves_out_what_is_not_for_services() -> None:
    pool = address_pool(ip_network("10.0.0.0/24"))
    values = [pool.value(index) for index in range(pool.size)]
    assert (values[0], values[-1], len(set(values))) == ("10.0.0.1", "10.0.0.254", 254)
    assert pool.static_size == 16
    assert all(map(pool.contains, values))
    for other in ("10.0.0.0", "10.0.0.255", "10.0.1.1", "x", "", "::1", "10.0.0.2/32"):
        assert not pool.contains(other)
    assert address_pool(ip_network("10.0.0.0/16")).static_size == 256


def test_a_pool_of_ipv6_addresses_has_the_last_one() -> None:
    pool = address_pool(ip_network("fd00::/124"))
    assert (pool.size, pool.static_size, pool.value(0), pool.value(14)) == (15, 0, "fd00::1", "fd00::f")
    assert pool.contains("fd00::f")
    assert not any(map(pool.contains, ("fd00::", "fd00::10", "10.0.0.1")))
    assert address_pool(ip_network("fd00::/64")).static_size == 256


def test_a_pool_tries_every_value_and_the_kept_ones_last() -> None:
    pool = address_pool(ip_network("10.0.0.0/27"))
    tried = list(dict.fromkeys(pool.candidates()))
    assert (len(tried), pool.static_size, tried[-16:]) == (30, 16, [pool.value(index) for index in range(16)])
    assert list(address_pool(ip_network("10.0.0.1/32")).candidates()) == []


def test_a_pool_of_ports() -> None:
    pool = port_pool(range(30000, 32768))
    assert (pool.size, pool.static_size, pool.value(0), pool.shown) == (2768, 86, "30000", "30000-32767")
    assert pool.contains("32767")
    assert not any(map(pool.contains, ("29999", "32768", "x", "-1")))
