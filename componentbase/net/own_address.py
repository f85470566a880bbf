"""Finds the address by which others can reach this host."""

from __future__ import annotations

import socket

OUTSIDE = "192.0.2.1"
"""An address that no host has (RFC 5737): the route to it is the one out of this network."""


def own_address(towards: str = OUTSIDE) -> str:
    """Returns this host's address on the way to another; no packet is sent. Raises: OSError without a route."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((towards, 9))
        return str(probe.getsockname()[0])
