"""Ranges of pods' addresses: which parts of the cluster's networks nodes hold, and which one is next. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

from apimachinery.validation import IPNetwork


class NoneLeft(Exception):
    """Every part of one of the networks is held."""


class _Pool:
    """One network in parts of one size. A part may have several holders: kubelets that brought their own say so."""

    def __init__(self, network: IPNetwork, mask_size: int) -> None:
        self._network = network
        self._shift = network.max_prefixlen - mask_size
        self._count = 1 << (mask_size - network.prefixlen)
        self._first = int(network.network_address) >> self._shift
        self._holders: dict[int, set[str]] = {}
        self._next = 0

    def hold(self, cidr: str, holder: str) -> None:
        for index in self._parts(cidr):
            self._holders.setdefault(index, set()).add(holder)

    def release(self, cidr: str, holder: str) -> None:
        for index in self._parts(cidr):
            holders = self._holders.get(index, set())
            holders.discard(holder)
            if not holders:
                self._holders.pop(index, None)

    def next_free(self) -> str:
        """Returns the part that has been free for longest, roughly. Raises: NoneLeft."""
        for index in (*range(self._next, self._count), *range(self._next)) if len(self._holders) < self._count else ():
            if index not in self._holders:
                self._next = (index + 1) % self._count
                address = self._network.network_address + (index << self._shift)
                return f"{address}/{self._network.max_prefixlen - self._shift}"
        raise NoneLeft

    def _parts(self, cidr: str) -> range:
        """Returns the numbers of the parts that the range overlaps."""
        other = ip_network(cidr, strict=False)
        if other.version != self._network.version or not other.overlaps(self._network):
            return range(0)
        first, last = (int(end) >> self._shift for end in (other.network_address, other.broadcast_address))
        return range(max(first - self._first, 0), min(last - self._first, self._count - 1) + 1)


class PodRanges:
    """The ranges that nodes hold, by the node's name."""

    def __init__(self, networks: Iterable[tuple[str, int]], excluded: Iterable[str] = ()) -> None:
        """`networks` are those of the cluster, each with the prefix length of a node's part of it."""
        self._pools = [_Pool(ip_network(cidr, strict=False), size) for cidr, size in networks]
        self._held: dict[str, tuple[str, ...]] = {}
        for pool in self._pools:
            for cidr in excluded:
                pool.hold(cidr, "")  # which no node is called

    def hold(self, node: str, cidrs: tuple[str, ...]) -> bool:
        """Notes what the node has; () releases it. Tells whether that left something free that was not."""
        before = self._held.pop(node, ())
        for pool in self._pools:
            for cidr in before:
                pool.release(cidr, node)
            for cidr in cidrs:
                pool.hold(cidr, node)
        if cidrs:
            self._held[node] = cidrs
        return bool(set(before) - set(cidrs))

    def assign(self, node: str) -> tuple[str, ...]:
        """Returns a range of each network, the same ones again until they are released. Raises: NoneLeft."""
        if node not in self._held:
            self.hold(node, tuple(pool.next_free() for pool in self._pools))
        return self._held[node]
