"""Addresses of pods: those of the node's ranges, each given to one sandbox. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from ipaddress import ip_address, ip_network

from apimachinery.validation import IPNetwork


class NoAddressLeft(Exception):
    """Every address of a range is taken."""


class AddressPool:
    """Goes round in each range, so that an address that was given back rests for as long as others are free."""

    def __init__(self) -> None:
        self.ranges: tuple[IPNetwork, ...] = ()
        self._next: dict[IPNetwork, int] = {}

    def use(self, cidrs: Iterable[str]) -> bool:
        """Takes these ranges; tells whether they are others than before."""
        ranges = tuple(ip_network(cidr) for cidr in cidrs)
        changed, self.ranges = ranges != self.ranges, ranges
        return changed

    def take(self, taken: Collection[str]) -> tuple[str, ...]:
        """Returns an address of each range that is not among those that are `taken`. Raises: NoAddressLeft."""
        return tuple(self._take(network, taken) for network in self.ranges)

    def _take(self, network: IPNetwork, taken: Collection[str]) -> str:
        # The first is the network's own name, the second the gateway's, the last one IPv4's broadcast.
        first, end = 2, network.num_addresses - (network.version == 4)
        start = self._next.get(network, first)
        for number in range(start, start + min(end - first, len(taken) + 1)):
            index = first + (number - first) % (end - first)
            if (address := str(network[index])) not in taken:
                self._next[network] = index + 1
                return address
        raise NoAddressLeft(f"no IP addresses available in range set: {network[1]}-{network[end - 1]}")

    def holds(self, addresses: Sequence[str]) -> bool:
        """Tells whether the addresses are all of present ranges."""
        return all(any(ip_address(address) in network for network in self.ranges) for address in addresses)


def gateway(network: IPNetwork) -> str:
    """Returns the address of the bridge, with the prefix length of the range."""
    return f"{network[1]}/{network.prefixlen}"
