"""IP addresses and networks: ip("10.0.0.1").family(), cidr("10.0.0.0/8").containsIP("10.1.2.3") ...

Source: Kubernetes documentation, "CEL in Kubernetes", "Kubernetes IP address library" and "CIDR library".
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface, ip_network
from typing import ClassVar

from kubecel.functions import Library, per_character
from kubecel.types import Type
from kubecel.values import EvaluationError, Opaque

LIBRARY = Library("ips")
READ = per_character()


@LIBRARY.value
@dataclass(frozen=True, slots=True)
class IP(Opaque):
    address: IPv4Address | IPv6Address
    type: ClassVar[Type] = Type("net.IP")


@LIBRARY.value
@dataclass(frozen=True, slots=True)
class CIDR(Opaque):
    """An address with the length of its network's prefix: 10.0.0.1/8."""

    interface: IPv4Interface | IPv6Interface
    type: ClassVar[Type] = Type("net.CIDR")


@LIBRARY("ip(string): net.IP", cost=READ)
def ip(text: str) -> IP:
    try:
        address = ip_address(text)
    except ValueError:
        raise EvaluationError(
            f'IP Address "{text}" parse error during conversion from string: ParseAddr("{text}"): unable to parse IP'
        ) from None
    if isinstance(address, IPv6Address) and (address.scope_id or address.ipv4_mapped):
        what = "zones" if address.scope_id else "IPv4-mapped IPv6 addresses"
        raise EvaluationError(f'IP Address "{text}" is not allowed: {what} are not allowed')
    return IP(address)


@LIBRARY("isIP(string): bool", cost=READ)
def is_ip(text: str) -> bool:
    try:
        return bool(ip(text))
    except EvaluationError:
        return False


LIBRARY.add("ip.isCanonical(string): bool", lambda text: str(ip(text).address) == text, cost=READ)
LIBRARY.add("string(net.IP): string", lambda value: str(value.address), size=lambda sizes: 39)
LIBRARY.add("net.IP.family(): int", lambda value: value.address.version)
LIBRARY.add("net.IP.isUnspecified(): bool", lambda value: value.address.is_unspecified)
LIBRARY.add("net.IP.isLoopback(): bool", lambda value: value.address.is_loopback)
LIBRARY.add("net.IP.isLinkLocalUnicast(): bool", lambda value: value.address.is_link_local)


@LIBRARY("net.IP.isLinkLocalMulticast(): bool")
def is_link_local_multicast(value: IP) -> bool:
    local = ip_network("224.0.0.0/24" if value.address.version == 4 else "ff02::/16")
    return value.address in local


@LIBRARY("net.IP.isGlobalUnicast(): bool")
def is_global_unicast(value: IP) -> bool:
    """As Go has it: private addresses are global, too."""
    address = value.address
    elsewhere = address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    return not elsewhere and str(address) != "255.255.255.255"


@LIBRARY("cidr(string): net.CIDR", cost=READ)
def cidr(text: str) -> CIDR:
    address, slash, length = text.partition("/")
    try:
        if not (slash and length.isascii() and length.isdigit() and str(int(length)) == length):
            raise ValueError
        ip(address)
        return CIDR(ip_interface(text))
    except (ValueError, EvaluationError):
        raise EvaluationError(
            f'network address parse error during conversion from string: netip.ParsePrefix("{text}")'
        ) from None


@LIBRARY("isCIDR(string): bool", cost=READ)
def is_cidr(text: str) -> bool:
    try:
        return bool(cidr(text))
    except EvaluationError:
        return False


LIBRARY.add("string(net.CIDR): string", lambda value: str(value.interface), size=lambda sizes: 43)
LIBRARY.add("net.CIDR.ip(): net.IP", lambda value: IP(value.interface.ip))
LIBRARY.add("net.CIDR.masked(): net.CIDR", lambda value: CIDR(ip_interface(str(value.interface.network))))
LIBRARY.add("net.CIDR.prefixLength(): int", lambda value: value.interface.network.prefixlen)


@LIBRARY("net.CIDR.containsIP(net.IP): bool")
def contains_ip(value: CIDR, address: IP) -> bool:
    return address.address in value.interface.network


@LIBRARY("net.CIDR.containsIP(string): bool", cost=READ)
def contains_ip_text(value: CIDR, address: str) -> bool:
    return contains_ip(value, ip(address))


@LIBRARY("net.CIDR.containsCIDR(net.CIDR): bool")
def contains_cidr(value: CIDR, other: CIDR) -> bool:
    outer, inner = value.interface.network, other.interface.network
    return outer.version == inner.version and inner.prefixlen >= outer.prefixlen and inner.network_address in outer


@LIBRARY("net.CIDR.containsCIDR(string): bool", cost=READ)
def contains_cidr_text(value: CIDR, other: str) -> bool:
    return contains_cidr(value, cidr(other))
