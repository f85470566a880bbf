"""The contract between a runtime and the network that gives its sandboxes their addresses."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from kubelet.runtime.configs import NO_LIMITS, Bandwidth, PodRef, PortMapping


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """A sandbox that is to get its network. `netns` is the path of its network namespace."""

    id: str
    pod: PodRef
    netns: str
    ports: tuple[PortMapping, ...] = ()
    bandwidth: Bandwidth = NO_LIMITS


class SandboxNetwork(Protocol):
    """Knows sandboxes by their ids, also those that an earlier kubelet attached."""

    def problem(self) -> str:
        """Says why no sandbox can be attached now; "" when one can."""

    def set_ranges(self, cidrs: Sequence[str]) -> bool:
        """Takes the ranges that the node's pods get their addresses from; tells whether they are others than before."""

    async def follow(self) -> None:
        """Keeps what is attached as the node's links change, until cancelled."""

    def addresses(self, sandbox_id: str) -> tuple[str, ...]:
        """Returns the addresses of an attached sandbox; () for one whose network is missing or broken."""

    def attached(self) -> frozenset[str]:
        """Returns the ids of all sandboxes that hold something of the network."""

    async def attach(self, request: NetworkRequest) -> tuple[str, ...]:
        """Gives the sandbox its interface and addresses. Raises: EngineError; nothing is held, then."""

    async def detach(self, sandbox_id: str) -> None:
        """Gives back what the sandbox holds; succeeds when that is nothing. Raises: EngineError."""

    async def check(self, sandbox_ids: Collection[str]) -> None:
        """Looks whether these sandboxes, which run, still have what they were given: see `addresses`."""


def network_not_ready(problem: str) -> str:
    """Says in the node's words what is wrong with the network of pods."""
    return (
        "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
        f"message:Network plugin returns error: {problem}"
    )
