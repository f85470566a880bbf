"""YAML as Kubernetes reads it: the types of JSON alone (a date stays text). And as it writes it."""

from __future__ import annotations

import json
from typing import Any

import yaml

_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # without libyaml: slower, the same result
_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"


class ApiLoader(_SafeLoader):  # type: ignore[misc]
    """`repeated` are the keys that one map has twice, with their lines; the last of them counts."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.repeated: list[str] = []

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[str, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue
            key = self._key(key_node)
            if key in seen:
                self.repeated.append(f"line {key_node.start_mark.line + 1}: key {json.dumps(key)} already set in map")
            seen.add(key)
        self.flatten_mapping(node)
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            mapping[self._key(key_node)] = self.construct_object(value_node, deep=deep)
        return mapping

    def _key(self, node: Any) -> str:
        """JSON's keys are text: `1` and `true` become "1" and "true"."""
        key = self.construct_object(node, deep=True)
        if isinstance(key, str):
            return key
        if key is None or isinstance(key, bool | int | float):
            return json.dumps(key)
        raise yaml.constructor.ConstructorError(None, None, "a key is neither text nor a number")


ApiLoader.yaml_implicit_resolvers = {
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
