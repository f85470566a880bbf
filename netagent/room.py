"""A room of the agent: one thing that it keeps in order on its node. Each file in `rooms/` brings one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from componentbase.clock import Clock
from componentbase.daemon import FatalError
from componentbase.health import HealthHandler
from kubeapi.core.node import Node
from kubeclient.informer import Informer, Informers
from kubeclient.rest import RestClient

MIN_SYNC_SECONDS = 0.1  # between two rounds of a room: what changes meanwhile is one round
RETRY_SECONDS = 5.0  # after a command that failed
CHECK_SECONDS = 30.0
"""Between two looks at the kernel for what no event tells. (Those of IPv6 addresses would tell of each pod's link.)"""


def require_nft() -> None:
    """Raises: FatalError where the program is missing."""
    if shutil.which("nft") is None:
        raise FatalError("nft is not on PATH: install nftables (Debian: apt-get install nftables)")


@dataclass(frozen=True)
class RoomContext:
    """What rooms share."""

    node_name: str
    route_metric: int
    overlay: str
    non_masquerade_cidrs: Sequence[str]
    rest: RestClient
    informers: Informers
    node: Informer[Node]
    """Holds the node of the agent, and no other."""
    health: HealthHandler
    clock: Clock


@dataclass(frozen=True)
class Room:
    """`ROOM = Room(...)`."""

    name: str
    run: Callable[[RoomContext], Coroutine[Any, Any, None]]
    """Works until cancelled. Raises: FatalError, which ends the agent."""
    cleanup: Callable[[], Coroutine[Any, Any, None]]
    """Removes from the node what the room keeps there. Raises: CommandError."""
