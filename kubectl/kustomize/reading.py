"""Files of a kustomization: what may be read, and what YAML means to kustomize."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from kubectl.cli.command import UsageError

Dict = dict[str, Any]

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_REMOTE = re.compile(r"^[a-z+]+://|^git@|^github\.com[/:]|\?ref=|\.git(/|$)")


class ManifestLoader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """YAML with JSON's types: timestamps stay text, duplicate keys are errors, numbers are no dates."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen and key != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} already set in map", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        if any(isinstance(key, bool | int | float) for key in mapping):  # JSON has text for keys
            return {key if isinstance(key, str) else json.dumps(key): value for key, value in mapping.items()}
        return mapping


_INTEGER = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$")


def _number(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int | float | str:
    """What Go's reader makes of a plain number: a whole one is an integer, one too large is text."""
    text = node.value.replace("_", "")
    digits = text.lstrip("+-")
    sign = -1 if text.startswith("-") else 1
    if digits[:2] in ("0b", "0o", "0x"):
        return sign * int(digits, 0)
    if re.fullmatch("[1-9][0-9]*|0[0-7]*", digits):
        return sign * int(digits, 8 if digits.startswith("0") else 10)
    if digits[1:].isalpha():
        return sign * float(digits[1:])  # infinite, or not a number: refused for what JSON cannot say
    value = sign * float(digits)
    if math.isinf(value):
        return str(node.value)
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def read_numbers(loader: Any) -> None:
    """Teaches a loader Go's numbers: PyYAML takes 12:30 for one, and 1e3 for none."""
    for tag, pattern in (("int", _INTEGER), ("float", _FLOAT)):
        loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", pattern, list("-+.0123456789"))
        loader.add_constructor(f"tag:yaml.org,2002:{tag}", _number)


# kubectl's reader takes these for booleans, so a manifest must not mean one thing here and another there.
ManifestLoader.bool_values = {**yaml.SafeLoader.bool_values, "y": True, "n": False}
ManifestLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in ("timestamp", "int", "float")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
ManifestLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("[yYnN]$"), list("yYnN"))
read_numbers(ManifestLoader)


class _Loader(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """YAML 1.2: `yes` and `on` are text, as are timestamps."""


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag.rpartition(":")[2] not in ("timestamp", "bool", "int", "float")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
read_numbers(_Loader)


def documents(text: str, source: str, loader: Any = _Loader) -> list[Any]:
    """All that are not empty. Raises: UsageError."""
    try:
        found = [document for document in yaml.load_all(text, Loader=loader) if document is not None]
        json.dumps(found, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"{source} is not representable as JSON: {error}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"MalformedYAMLError: {one_line(error)} in File: {source}") from error
    return found


def one_line(error: yaml.YAMLError) -> str:
    """As kubectl's reader words it: where structure is wrong it counts lines from zero, and leaves zero out."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    if mark is None:
        return f"yaml: {problem}"
    line = mark.line if isinstance(error, yaml.parser.ParserError) else mark.line + 1
    return f"yaml: line {line}: {problem}" if line else f"yaml: {problem}"


def missing(path: Path) -> str:
    return f"evalsymlink failure on '{path}' : lstat {path}: no such file or directory"


_TEXTS = {
    "": ("namespace", "namePrefix", "nameSuffix"),
    "{}": ("commonLabels", "commonAnnotations"),
    "[]": ("resources", "bases", "components", "patchesStrategicMerge"),
}


def check_texts(says: Dict) -> None:
    """What must be text in a kustomization: YAML takes `1` and `yes` for something else. Raises: UsageError."""
    for shape, names in _TEXTS.items():
        for name in names:
            value = says.get(name)
            if value is None:
                continue
            if shape and not isinstance(value, dict if shape == "{}" else list):
                raise UsageError(f"invalid Kustomization: {name} must be a {'map' if shape == '{}' else 'list'}")
            items = value.values() if shape == "{}" else value if shape else [value]
            _all_texts(items, f"Kustomization.{name}")
    for image in says.get("images") or ():
        for name, value in image.items():
            _all_texts([value], f"Image.images.{name}")
    for label in says.get("labels") or ():
        _all_texts((label.get("pairs") or {}).values(), "Label.labels.pairs")
    options = says.get("generatorOptions") or {}
    for name in ("labels", "annotations"):
        _all_texts((options.get(name) or {}).values(), f"GeneratorOptions.generatorOptions.{name}")


def _all_texts(values: Iterable[object], where: str) -> None:
    for value in values:
        if not isinstance(value, str):
            kind = "bool" if isinstance(value, bool) else "number" if isinstance(value, int | float) else "object"
            raise UsageError(
                f"invalid Kustomization: json: cannot unmarshal {kind} into Go struct field {where} of type string"
            )


def refuse_remote(name: str) -> None:
    """Raises: UsageError for what would have to be fetched."""
    if _REMOTE.search(name):
        raise UsageError(f"{name}: resources from other machines are not supported in kustomizations")


class Folder:
    """Files in or below one folder; nothing else may be read as a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def has(self, name: str) -> bool:
        return "\n" not in name and (self.path / name).is_file()

    def read(self, name: str) -> str:
        """Raises: UsageError."""
        try:
            return self.read_bytes(name).decode()
        except UnicodeDecodeError as error:
            raise UsageError(f"{self.path / name} is not UTF-8: {error}") from error

    def read_bytes(self, name: str) -> bytes:
        """Raises: UsageError."""
        refuse_remote(name)
        path = (self.path / name).resolve()
        if not path.is_relative_to(self.path):
            raise UsageError(f"security; file '{path}' is not in or below '{self.path}'")
        if not path.exists():
            raise UsageError(missing(path))
        try:
            return path.read_bytes()
        except OSError as error:
            raise UsageError(f"open {path}: {str(error.strerror).lower()}") from error

    def folder(self, name: str) -> Folder:
        """Another, of which this one builds. Raises: UsageError."""
        refuse_remote(name)
        path = (self.path / name).resolve()
        if not path.is_dir():
            raise UsageError(missing(self.path / name))
        return Folder(path)

    def kustomization(self) -> tuple[Dict, str]:
        """What its kustomization says, and that file's name. Raises: UsageError."""
        names = [name for name in NAMES if (self.path / name).is_file()]
        if not names:
            shown = "', '".join(NAMES[:-1])
            raise UsageError(f"unable to find one of '{shown}' or '{NAMES[-1]}' in directory '{self.path}'")
        if len(names) > 1:
            raise UsageError(f"Found multiple kustomization files under: {self.path}")
        found = documents(self.read(names[0]), names[0], ManifestLoader) or [{}]
        if len(found) != 1 or not isinstance(found[0], dict):
            raise UsageError(f"{self.path / names[0]} must hold one kustomization")
        return found[0], names[0]
