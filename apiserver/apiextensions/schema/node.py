"""A schema in the form in which objects are walked. Children are prepared when the first object has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

Raw = Mapping[str, Any]

NO_PROPERTIES: Mapping[str, Raw] = {}
_INT_OR_STRING = ("integer", "string")


class Node:
    """One schema: of an object, a field, an item.

    `types` is empty where any type is allowed. `default` is None for none; `defaulted` names the properties that have
    one. `checks` and `checker` are filled by `values`.
    """

    __slots__ = (
        "_additional",
        "_children",
        "_default_sizes",
        "_items",
        "additional",
        "checker",
        "checks",
        "default",
        "defaulted",
        "embedded",
        "list_keys",
        "list_type",
        "nullable",
        "preserve",
        "properties",
        "raw",
        "types",
    )

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        kind = raw.get("type")
        self.types: tuple[str, ...] = (
            _INT_OR_STRING if raw.get("x-kubernetes-int-or-string") else (kind,) if kind else ()
        )
        self.nullable = bool(raw.get("nullable"))
        self.preserve = bool(raw.get("x-kubernetes-preserve-unknown-fields"))
        self.embedded = bool(raw.get("x-kubernetes-embedded-resource"))
        self.default = raw.get("default")
        self.list_type: str = raw.get("x-kubernetes-list-type") or ""
        self.list_keys: tuple[str, ...] = tuple(raw.get("x-kubernetes-list-map-keys") or ())
        self.properties: Mapping[str, Raw] = raw.get("properties") or NO_PROPERTIES
        self.defaulted = tuple(name for name, item in self.properties.items() if item.get("default") is not None)
        self.additional = raw.get("additionalProperties")
        """A schema, or whether further members are allowed; None where the schema does not say."""
        self.checks: Any = None
        self.checker: Any = None
        self._children: dict[str, Node] = {}
        self._default_sizes: dict[str, int] = {}
        self._items: Node | None = None
        self._additional: Node | None = None

    def child(self, name: str) -> Node | None:
        """Returns the schema of a named property."""
        node = self._children.get(name)
        if node is None and name in self.properties:
            node = self._children[name] = Node(self.properties[name])
        return node

    def default_size(self, name: str) -> int:
        """Returns the bytes of JSON of a property and its default."""
        size = self._default_sizes.get(name)
        if size is None:
            size = self._default_sizes[name] = len(orjson.dumps({name: self.properties[name]["default"]}))
        return size

    def member(self, name: str) -> Node | None:
        """Returns the schema of any member of an object: that of the property, or of further members."""
        return self.child(name) if name in self.properties else self.further

    @property
    def further(self) -> Node | None:
        """The schema of members that are not named."""
        if self._additional is None and isinstance(self.additional, Mapping):
            self._additional = Node(self.additional)
        return self._additional

    @property
    def items(self) -> Node | None:
        """The schema of the items of a list."""
        if self._items is None and isinstance(raw := self.raw.get("items"), Mapping):
            self._items = Node(raw)
        return self._items
