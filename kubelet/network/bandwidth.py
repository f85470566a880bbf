"""Limits of a pod's traffic, from its annotations, and the kernel's shapers that keep them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from apimachinery.quantity import parse_quantity
from kubelet.runtime.configs import Bandwidth

INGRESS, EGRESS = "kubernetes.io/ingress-bandwidth", "kubernetes.io/egress-bandwidth"
LEAST_BITS, MOST_BITS = 1000, 10**15
LATENCY = "50ms"
"""The longest that a packet waits for its turn before it is dropped."""
BURSTS_PER_SECOND = 20


class BandwidthError(Exception):
    """An annotation that is not a limit."""


def pod_bandwidth(annotations: Mapping[str, str]) -> Bandwidth:
    """Raises: BandwidthError."""
    try:
        return Bandwidth(*(_bits(annotations.get(name, "")) for name in (INGRESS, EGRESS)))
    except ValueError as error:
        raise BandwidthError(f"failed to get pod bandwidth info from annotations: {error}") from None


def _bits(text: str) -> int:
    """Raises: ValueError."""
    if not text:
        return 0
    bits = parse_quantity(text)
    if bits < LEAST_BITS:
        raise ValueError("resource is unreasonably small (< 1kbit)")
    if bits > MOST_BITS:
        raise ValueError("resource is unreasonably large (> 1Pbit)")
    return int(bits)


def shaper(link: str, bits: int, mtu: int) -> str:
    """Returns a line for `tc -batch` that limits what leaves by the link."""
    burst = max(2 * mtu, bits // 8 // BURSTS_PER_SECOND)
    return f"qdisc replace dev {link} root tbf rate {bits}bit burst {burst} latency {LATENCY}\n"
