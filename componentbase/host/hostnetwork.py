"""Ends a daemon that shares its worker host's network namespace when the host has got another one.

A worker host may be a container, with the kubelet and kube-proxy in containers of their own that joined its network
namespace. When the host's container is restarted it has a new namespace, and the daemons would stay in the old one,
which has no way out. They can't move; whoever restarts them puts them into the new one.
"""

from __future__ import annotations

import argparse
import os

from componentbase.clock import Clock
from componentbase.daemon import FatalError

CHECK_SECONDS = 1.0


def add_host_network_flag(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--host-netns-file",
        default="",
        metavar="FILE",
        help="the file in which the host writes its network namespace, as `readlink /proc/self/ns/net` prints it; when "
        "the host gets another one, the daemon ends, so that it is restarted there",
    )


def network_namespace() -> str:
    """Returns the network namespace of this process: "net:[4026531840]"."""
    return os.readlink("/proc/self/ns/net")


async def end_outside_host_network(path: str, clock: Clock, namespace: str) -> None:
    """Watches the file in which the host writes its network namespace; returns at once when `path` is "".

    It waits as long as the file is missing or empty: a container joins the namespace of one that runs, so there is no
    point in ending before the host is back.
    Raises: FatalError when the file names another namespace than `namespace`.
    """
    while path:
        host_namespace = _read(path)
        if host_namespace not in ("", namespace):
            raise FatalError(f"the host has left this network namespace: {namespace} here, {host_namespace} there")
        await clock.sleep(CHECK_SECONDS)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""
