"""Finds every kind: all `RESOURCE` constants in a package, and typed constants in any collected (★) folder."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any, TypeVar

from apimachinery.resource import Resource

C = TypeVar("C")


class CatalogueError(Exception):
    """A collected folder holds a file without its constant, or two constants of one name."""


def collect(package: str, constant: str, cls: type[C]) -> dict[str, C]:
    """Module name -> its constant, for each module of a collected folder (names starting with "_" are helpers).

    Raises: CatalogueError when a module lacks the constant or it is of another type.
    """
    found: dict[str, C] = {}
    root = importlib.import_module(package)
    for info in sorted(pkgutil.iter_modules(root.__path__), key=lambda item: item.name):
        if info.name.startswith("_"):
            continue
        module = importlib.import_module(f"{package}.{info.name}")
        value = getattr(module, constant, None)
        if not isinstance(value, cls):
            raise CatalogueError(f"{module.__name__} must define {constant}: {cls.__name__}")
        found[info.name] = value
    return found


class Catalogue:
    """All resources of an API, by path and by kind."""

    def __init__(self, resources: list[Resource[Any]]) -> None:
        self._by_plural: dict[tuple[str, str, str], Resource[Any]] = {}
        self._by_kind: dict[tuple[str, str], Resource[Any]] = {}
        for resource in resources:
            path = (resource.group, resource.version, resource.plural)
            if path in self._by_plural:
                raise CatalogueError(f"two files define {resource.plural} in {resource.api_version}")
            self._by_plural[path] = resource
            self._by_kind[(resource.api_version, resource.kind)] = resource

    def __iter__(self) -> Iterator[Resource[Any]]:
        return iter(self._by_plural.values())

    def find(self, group: str, version: str, plural: str) -> Resource[Any] | None:
        return self._by_plural.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Resource[Any] | None:
        return self._by_kind.get((api_version, kind))

    def groups(self) -> dict[str, list[str]]:
        """Group -> its versions, in the order of definition; the core group is ""."""
        found: dict[str, list[str]] = {}
        for group, version, _ in self._by_plural:
            versions = found.setdefault(group, [])
            if version not in versions:
                versions.append(version)
        return found


def load_catalogue(package: str = "kubeapi") -> Catalogue:
    """Every kind that has a file in `package`."""
    return Catalogue(list(collect(package, "RESOURCE", Resource).values()))
