"""Files of a kustomization: what may be read, and what YAML means to kustomize."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from kubectl.cli.command import UsageError
from kubectl.input.manifests import ManifestLoader, one_line, read_numbers

Dict = dict[str, Any]

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_REMOTE = re.compile(r"^[a-z+]+://|^git@|^github\.com[/:]|\?ref=|\.git(/|$)")


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
