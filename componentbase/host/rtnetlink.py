"""What the kernel tells of its links, addresses and routes, as they change."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LINKS, IPV4_ADDRESSES, IPV4_ROUTES = 0x1, 0x10, 0x40  # RTMGRP_… of <linux/rtnetlink.h>
_MESSAGE_BYTES = 65536


@contextmanager
def noticing_changes(changed: asyncio.Event, groups: int) -> Iterator[None]:
    """Sets the event when something of these groups changes in this network namespace, whoever changes it."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.setblocking(False)
        kernel.bind((0, groups))

        def notice() -> None:
            with suppress(OSError):  # nothing left to read, or more than was kept: all the same a change
                while kernel.recv(_MESSAGE_BYTES):
                    pass
            changed.set()

        loop.add_reader(kernel, notice)
        try:
            yield
        finally:
            loop.remove_reader(kernel)
