"""The contract between the network of pods and how it is made: by the kubelet's own bridge, or by CNI plugins."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from kubelet.network.attachment import Attachment
from kubelet.runtime.network import NetworkRequest


class PlugError(Exception):
    """A sandbox could not be attached, checked or detached; the text is fit for an event's message."""


class Plug(Protocol):
    """Attaches sandboxes, several at once. Methods that are not async return without waiting for anything."""

    def problem(self) -> str:
        """Says why nothing can be attached now; "" when something can."""

    def set_ranges(self, cidrs: Sequence[str]) -> bool:
        """Takes the ranges of the node's pods; tells whether they are others than before. Raises: ValueError."""

    async def follow(self, attachments: Callable[[], Iterable[Attachment]]) -> None:
        """Keeps what is attached as the node's links change, until cancelled."""

    def holds(self, addresses: Sequence[str]) -> bool:
        """Tells whether addresses that were given before are still those of this node."""

    def reserve(self, request: NetworkRequest, taken: Collection[str]) -> Attachment:
        """Decides how the sandbox will be attached; no address that is `taken`. Raises: PlugError."""

    async def add(self, attachment: Attachment) -> Attachment:
        """Attaches the sandbox, and returns what it has then. Raises: PlugError; a part may be done."""

    async def check(self, attachment: Attachment) -> None:
        """Raises: PlugError when the sandbox no longer has what it was given."""

    async def delete(self, attachment: Attachment) -> None:
        """Detaches it, whatever of it there is; its namespace may be gone. Raises: PlugError."""
