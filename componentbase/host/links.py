"""What the daemons of a host know of each other's network links."""

from __future__ import annotations

OVERLAY = "mini-vxlan"
"""The link over which netagent reaches nodes that are not neighbours: what goes there has to fit into its packets."""


def ethernet_address(last: bytes) -> str:
    """Returns an Ethernet address made of the four bytes that tell it from others of the cluster."""
    return f"0a:58:{last.hex(':')}"
