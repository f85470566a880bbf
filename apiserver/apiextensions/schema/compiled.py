"""The one thing that the server of custom resources needs of a schema."""

from __future__ import annotations

from typing import Any

from apimachinery.errors import FieldError, invalid
from apiserver.apiextensions.schema import embedded, lists, rules, shaping, values
from apiserver.apiextensions.schema.branches import branch_of
from apiserver.apiextensions.schema.merging import shape_of
from apiserver.apiextensions.schema.node import Node
from apiserver.managedfields.shapes import Shape

_BLOCKING = frozenset(
    (
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    )
)
_NOT_CHECKED = invalid(
    "<nil>",
    None,
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation",
)


class Compiled:
    """A structural schema, ready to be used on objects: plain JSON types as they are read from a request."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._root = Node({**schema, "x-kubernetes-embedded-resource": True})
        self._lists = branch_of(schema, lists.asks)
        self._embedded = branch_of(schema, embedded.asks)
        with_rules = branch_of(schema, rules.asks)
        self._rules = rules.Rules(with_rules) if with_rules is not None else None

    def prune(self, obj: dict[str, Any]) -> list[str]:
        """Drops, in place, the fields that the schema lacks, and returns their paths: "spec.nope", "spec.list[0].x".

        The members of `metadata`, also of embedded resources, are those of every object.
        """
        dropped: list[str] = []
        shaping.prune(obj, self._root, None, dropped)
        return sorted(dropped)

    def complete(self, obj: dict[str, Any]) -> list[str]:
        """Does in one walk what `prune` and `default` do. Raises: RequestEntityTooLarge."""
        dropped: list[str] = []
        shaping.prune(obj, self._root, None, dropped, filling=shaping.Filling())
        return sorted(dropped)

    def default(self, obj: dict[str, Any]) -> None:
        """Sets defaults in place. A null where the schema allows none is dropped, or replaced by the default."""
        shaping.default(obj, self._root)

    def validate(
        self, obj: dict[str, Any], old: dict[str, Any] | None = None, *, status: bool = False
    ) -> list[FieldError]:
        """Lists the faults of an object, whose own metadata is checked elsewhere.

        Faults in what is as it was in `old` are let through, so that a stricter schema does not freeze objects.
        `status` asks for those in the status alone.
        """
        errors = values.check(self._root, obj, old, status=status)
        if self._embedded is not None and not status:
            errors += embedded.check(self._embedded, obj)
        if self._lists is not None:
            repeated = lists.check(self._lists, obj)
            if repeated and not (old is not None and lists.check(self._lists, old)):
                errors += repeated
        if self._rules is not None:
            if any(error.type in _BLOCKING for error in errors):
                errors.append(_NOT_CHECKED)
            else:
                errors += self._rules.check(obj, old)
        return errors

    def merge_types(self) -> Shape:
        """Returns the form of an object for managed fields: its maps, its lists by their types, what is atomic."""
        return shape_of(self._root)


def compile_schema(schema: dict[str, Any], *, preserve_unknown: bool = False) -> Compiled:
    """Prepares an `openAPIV3Schema` that `check_definition` has accepted.

    `preserve_unknown` keeps all unknown fields, as `x-kubernetes-preserve-unknown-fields` at the root does.
    """
    if preserve_unknown:
        schema = {**schema, "x-kubernetes-preserve-unknown-fields": True}
    return Compiled(schema)
