"""The part of a schema that asks for something: where objects need not be walked for it, they are not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Branch:
    """A schema that asks, or has ones below it that do: those alone are its members, further members and items."""

    schema: Raw
    asks: bool
    members: dict[str, Branch]
    further: Branch | None
    items: Branch | None

    def of(self, name: str) -> Branch | None:
        """Returns the branch of a member of an object."""
        return self.members.get(name) or (self.further if name not in (self.schema.get("properties") or ()) else None)


def branch_of(schema: Raw, asks: Callable[[Raw], bool]) -> Branch | None:
    """Returns None if neither the schema nor one below it asks."""
    members = {
        name: branch
        for name, inner in (schema.get("properties") or {}).items()
        if (branch := branch_of(inner, asks)) is not None
    }
    further, items = schema.get("additionalProperties"), schema.get("items")
    further_branch = branch_of(further, asks) if isinstance(further, Mapping) else None
    items_branch = branch_of(items, asks) if isinstance(items, Mapping) else None
    asked = asks(schema)
    if not (asked or members or further_branch or items_branch):
        return None
    return Branch(schema, asked, members, further_branch, items_branch)
