"""Changes of a stored object, as values that the store applies, again to newer state after a conflict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

from apimachinery.meta import Object

T = TypeVar("T", bound=Object)


class Changed(NamedTuple, Generic[T]):
    """A new object, which the store completes and writes, and what to warn the client of."""

    obj: T
    warnings: tuple[str, ...] = ()
    expected_uid: str = ""
    """The uid of the object that the client believes to replace; "" if it does not say, or sent a patch."""


class Change(Protocol[T]):
    @property
    def reads_owners(self) -> bool:
        """True if `apply` needs `metadata.managedFields`, half of many objects."""
        ...

    def apply(self, old: T, value: bytes) -> Changed[T]:
        """Makes what shall be stored in place of `old`, which stays as it is; `value` is its encoding.

        Raises: StatusError.
        """
        ...

    def create(self) -> T | None:
        """Makes what shall be stored where nothing is; None where this change needs an object. Raises: StatusError."""
        ...


class Edit(Generic[T]):
    """A change by a function of the stored object."""

    reads_owners = False

    def __init__(self, function: Callable[[T], T]) -> None:
        self._function = function

    def apply(self, old: T, value: bytes) -> Changed[T]:
        return Changed(self._function(old))

    def create(self) -> T | None:
        return None


class Replacement(Generic[T]):
    """An object in place of whatever is stored. `make` gives a new one for each attempt, since the store changes it."""

    reads_owners = False

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make

    def apply(self, old: T, value: bytes) -> Changed[T]:
        obj = self._make()
        return Changed(obj, expected_uid=obj.metadata.uid or "")

    def create(self) -> T | None:
        return self._make()
