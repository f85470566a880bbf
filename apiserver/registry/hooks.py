"""Side effects of storing a kind: claims of addresses and ports, and conditions that hold a deleted object.

A kind's own rules are pure and live in its strategy; these hooks do I/O. Most kinds have none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from apimachinery.errors import FieldError
from apimachinery.times import format_time
from apiserver.admission._plugin import Attributes
from componentbase.clock import Clock
from kubeapi.certificates.certificatesigningrequest import complete_conditions

Undo = Callable[[], Awaitable[None]]


async def nothing_to_undo() -> None:
    return None


class Hooks:
    """Override what a kind needs. Objects are the request's own and may be changed in place."""

    async def check_rights(self, attributes: Attributes) -> None:
        """After the admission plugins that change the object, before validation: refuses what the user may not write.

        Raises: StatusError.
        """

    def errors(self, obj: Any, old: Any) -> list[FieldError]:
        """Lists what the strategy can't know to be wrong with an object; `old` is None for a create."""
        return []

    def warnings(self, obj: Any) -> list[str]:
        """Returns texts for `Warning: 299` headers about an object that is created or updated."""
        return []

    async def begin_create(self, obj: Any, *, dry_run: bool) -> Undo:
        """After validation, before the write; the result undoes it when the write fails. Raises: StatusError."""
        return nothing_to_undo

    async def begin_update(self, obj: Any, old: Any, *, dry_run: bool) -> Undo:
        return nothing_to_undo

    async def after_update(self, obj: Any, old: Any) -> None:
        """After the write: gives back what the old object had and the new one has not."""

    async def after_delete(self, obj: Any) -> None:
        """After the object is gone."""

    def marked(self, obj: Any) -> None:
        """The object has just got its deletionTimestamp."""

    def holds(self, obj: Any) -> bool:
        """True if a deleted object must stay for more than its `metadata.finalizers`."""
        return False


NO_HOOKS = Hooks()


class NamespaceHooks(Hooks):
    """A namespace stays until the namespace controller has emptied it and taken away `spec.finalizers`."""

    def marked(self, obj: Any) -> None:
        obj.status.phase = "Terminating"
        obj.metadata.deletionGracePeriodSeconds = None

    def holds(self, obj: Any) -> bool:
        return bool(obj.spec.finalizers)


class CertificateHooks(Hooks):
    """Decisions about a certificate request get the time at which they came."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def begin_update(self, obj: Any, old: Any, *, dry_run: bool) -> Undo:
        complete_conditions(obj, old, format_time(self._clock.now()))
        return nothing_to_undo


class VolumeHooks(Hooks):
    """A volume's status says when its phase last changed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def begin_update(self, obj: Any, old: Any, *, dry_run: bool) -> Undo:
        status, before = obj.status, old.status
        if status.phase != before.phase and status.lastPhaseTransitionTime in (None, before.lastPhaseTransitionTime):
            status.lastPhaseTransitionTime = format_time(int(self._clock.now()))
        return nothing_to_undo
