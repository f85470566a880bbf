"""YAML as Kubernetes reads it: the types of JSON alone (a date stays text). And as it writes it."""

from __future__ import annotations

import json
import math
from typing import Any

import yaml

_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # without libyaml: slower, the same result
_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")  # those with a colon, of base 60, stay text
MERGE, _NO_KEY = object(), object()

MAX_NODES = 500_000
MAX_DEPTH = 100


class Reader:
    """One document, built from the parser's events: nothing here or in libyaml recurses, whatever the depth.

    `repeated` are the keys that one map has twice, with their lines; the last of them counts.
    """

    def __init__(self, text: bytes) -> None:
        self._loader = _Scalars(text)
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._open: list[_Node] = []
        self._nodes = 0
        self.repeated: list[str] = []

    def read(self) -> Any:
        """None for an empty text. Raises: yaml.YAMLError, ValueError for what JSON can't hold, UnicodeDecodeError."""
        document: Any = None
        documents = 0
        try:
            while (event := self._loader.get_event()) is not None:
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        raise _wrong("expected a single document in the stream", event)
                elif isinstance(event, yaml.ScalarEvent | yaml.AliasEvent | yaml.CollectionEndEvent):
                    value, nodes = self._value(event)
                    if self._open:
                        self._open[-1].add(value, nodes, event, self)
                    else:
                        document = value
                elif isinstance(event, yaml.CollectionStartEvent):
                    self._begin(event)
        finally:
            self._loader.dispose()
        return document

    def _begin(self, event: Any) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise _wrong("exceeded max depth", event)
        many = isinstance(event, yaml.SequenceStartEvent)
        if event.tag not in (None, "!", f"tag:yaml.org,2002:{'seq' if many else 'map'}"):
            raise _wrong(f"unsupported tag {event.tag[:100]}", event)
        if event.anchor:
            self._anchors.pop(event.anchor, None)
        self._open.append(_Node(event.anchor, [] if many else None))

    def _value(self, event: Any) -> tuple[Any, int]:
        """(what the event ends, how many nodes it is)."""
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise _wrong(
                    f"unknown anchor '{str(event.anchor)[:100]}' referenced, or one that contains itself", event
                )
            value, nodes = self._anchors[event.anchor]
            self._count(nodes, event)
            return value, nodes
        self._count(1, event)
        if isinstance(event, yaml.ScalarEvent):
            value, nodes, anchor = self._scalar(event), 1, event.anchor
        else:
            node = self._open.pop()
            value, nodes, anchor = node.value, node.nodes, node.anchor
        if anchor:
            self._anchors[anchor] = value, nodes
        return value, nodes

    def _count(self, nodes: int, event: Any) -> None:
        """An alias counts for all it stands for: a small text can't become an unbounded object."""
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _wrong("document contains excessive aliasing", event)

    def _scalar(self, event: Any) -> Any:
        tag = event.tag or self._loader.resolve(yaml.ScalarNode, event.value, event.implicit)
        if tag == "tag:yaml.org,2002:str" or tag == "!" or (tag in _NUMBERS and ":" in event.value):
            return event.value
        if tag == _MERGE:
            return MERGE
        value = self._loader.construct_object(yaml.ScalarNode(tag, event.value, event.start_mark))
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"unsupported value: {event.value}")
        return value


class _Node:
    """A list or map that is not complete yet."""

    __slots__ = ("_key", "_merged", "anchor", "nodes", "value")

    def __init__(self, anchor: str | None, value: list[Any] | None) -> None:
        self.anchor = anchor
        self.nodes = 1
        self.value: Any = {} if value is None else value
        self._key: Any = _NO_KEY
        self._merged: set[str] = set()

    def add(self, value: Any, nodes: int, event: Any, reader: Reader) -> None:
        self.nodes += nodes
        if isinstance(self.value, list):
            self.value.append("<<" if value is MERGE else value)
        elif self._key is _NO_KEY:
            self._key = value if value is MERGE else _key(value, event)
        else:
            key, self._key = self._key, _NO_KEY
            if key is MERGE:
                self._merge(value, event, reader)
                return
            if key in self.value and key not in self._merged:
                line = event.start_mark.line + 1
                reader.repeated.append(f"line {line}: key {json.dumps(key)} already set in map")
            self._merged.discard(key)
            self.value[key] = "<<" if value is MERGE else value

    def _merge(self, value: Any, event: Any, reader: Reader) -> None:
        """`<<: *a` or a list of such: keys of the map's own, and of earlier ones, go first."""
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                raise _wrong("map merge requires map or sequence of maps as the value", event)
            reader._count(len(source), event)
            for key, item in source.items():
                if key not in self.value:
                    self.value[key] = item
                    self._merged.add(key)


def _key(value: Any, event: Any) -> str:
    """JSON's keys are text: `1` and `true` become "1" and "true"."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    raise _wrong("a key is neither text nor a number", event)


def _wrong(text: str, event: Any) -> yaml.YAMLError:
    return yaml.YAMLError(f"line {event.start_mark.line + 1}: {text}")


class _Scalars(_SafeLoader):  # type: ignore[misc]
    """Says what type a scalar has and what value."""


_Scalars.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in _SafeLoader.yaml_implicit_resolvers.items()
}


class ApiDumper(_SafeDumper):  # type: ignore[misc]
    """`yaml.dump(value, Dumper=ApiDumper)`: equal parts are written again, not aliased."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


ApiDumper.add_representer(str, _represent_text)
