"""Which values there are to claim, and in which order they are tried. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from apimachinery.validation import IPNetwork

RANDOM_TRIES = 32  # before the range is searched in order


@dataclass(frozen=True, slots=True)
class Pool:
    """Values by index. Those from `static_size` on are given out first, the others are for who asks by name."""

    size: int
    static_size: int
    value: Callable[[int], str]
    contains: Callable[[str], bool]
    shown: str

    def candidates(self) -> Iterator[str]:
        """Yields values in the order in which to try them: every one of them, if need be."""
        for _ in range(RANDOM_TRIES if self.size else 0):
            yield self.value(random.randrange(self.static_size, self.size))
        yield from map(self.value, range(self.static_size, self.size))
        yield from map(self.value, range(self.static_size))


def address_pool(network: IPNetwork) -> Pool:
    """All addresses but the network's own and, of IPv4, the broadcast.

    Source: Kubernetes documentation, "Service ClusterIP allocation": the lower band is kept for chosen addresses.
    """
    first = network.network_address + 1 if network.num_addresses > 1 else network.network_address
    size = max(network.num_addresses - (2 if network.version == 4 else 1), 0)

    def contains(text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return address.version == network.version and 0 <= int(address) - int(first) < size

    return Pool(size, _band(size, step=16, most=256), lambda index: str(first + index), contains, str(network))


def port_pool(ports: range) -> Pool:
    """Source: Kubernetes documentation, "Avoiding NodePort collisions": a lower band is kept for chosen ports."""
    shown = f"{ports[0]}-{ports[-1]}"

    def contains(text: str) -> bool:
        return text.isdigit() and int(text) in ports

    band = _band(len(ports), step=32, most=128)
    return Pool(len(ports), band, lambda index: str(ports[index]), contains, shown)


def _band(size: int, *, step: int, most: int) -> int:
    """Returns how many of the first values are for those who ask by name: none of a small pool."""
    return min(max(16, size // step), most) if size > 16 else 0
