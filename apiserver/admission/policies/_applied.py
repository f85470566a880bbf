"""What an expression wants to have applied to an object: `Object{...}`, merged as server-side apply merges."""

from __future__ import annotations

from typing import Any

from apimachinery.resource import Resource
from apiserver.managedfields.shapes import LEAF, Shape, child_shape, root_shape
from apiserver.managedfields.typed import NotTyped, applied_set, merge
from kubecel.access import Constructed
from kubecel.values import Optional

MOST_PARTS = 200_000
"""The most nodes that one change may have. An expression can repeat a part at no cost; written out, it grows."""


class NotApplicable(Exception):
    """The change can't be applied."""


def plain(value: Any, *, names_checked: bool) -> Any:
    """Returns a value of an expression as plain JSON types. `names_checked`: each `Object.a.b{}` must stand where its
    name says. Raises: NotApplicable."""
    return _Plain(names_checked).of(value, ())


class _Plain:
    def __init__(self, names_checked: bool) -> None:
        self._names_checked = names_checked
        self._left = MOST_PARTS

    def of(self, value: Any, path: tuple[str, ...]) -> Any:
        self._left -= 1
        if self._left < 0:
            raise NotApplicable(f"the change has more than {MOST_PARTS} parts")
        if isinstance(value, Constructed) and self._names_checked:
            expected = ".".join(("Object", *path))
            if value.name != expected:
                why = f'expected "{expected}", which matches field name path from root Object type'
                raise NotApplicable(f'unexpected type name "{value.name}", {why}')
        if isinstance(value, dict):
            return {str(key): self.of(item, (*path, str(key))) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(item, path) for item in value]
        if isinstance(value, Optional):
            return self.of(value.value, path) if value.present else None
        if value is None or isinstance(value, str | int | float):
            return value
        raise NotApplicable(f"a value of the type {type(value).__name__} is not allowed in an object")


def applied(document: dict[str, Any], change: Any, resource: Resource[Any]) -> dict[str, Any]:
    """Merges the change into the object. Raises: NotApplicable."""
    if not isinstance(change, dict):
        raise NotApplicable("the expression must give an Object")
    for member, own in (("apiVersion", resource.api_version), ("kind", resource.kind)):
        if change.setdefault(member, own) != own:
            raise NotApplicable(f"invalid ApplyConfiguration: {member} may not be changed")
    shape = root_shape(resource)
    try:
        applied_set(change, shape)
        _check_no_atomic(change, shape, "")
        merged: dict[str, Any] = merge(document, change, shape)
    except NotTyped as error:
        raise NotApplicable(f"error applying patch: failed to convert patch object to typed object: {error}") from None
    return merged


def _check_no_atomic(value: Any, shape: Shape, path: str) -> None:
    """A value that is owned as one can't be merged: the policy must not replace what others have set."""
    if shape.kind == LEAF and isinstance(value, dict | list):
        raise NotApplicable(f"invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {path}")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_no_atomic(item, child_shape(shape, key), f"{path}.{key}")
    elif isinstance(value, list) and shape.item is not None:
        for item in value:
            _check_no_atomic(item, shape.item, f"{path}[]")
