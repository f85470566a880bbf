"""Finds every kind: all `RESOURCE` constants in a package, and typed constants in any collected (★) folder."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, TypeVar

from apimachinery.resource import Resource

C = TypeVar("C")


class CatalogueError(Exception):
    """A collected folder holds a file without its constant, or two constants of one name."""


def collect(package: str, constant: str, cls: type[C]) -> dict[str, C]:
    """Returns module name -> constant, for each module of a collected folder and of the folders in it.

    Names that start with "_" are helpers. A folder that has a `resource.py` is one module, whose constant is there.

    Raises: CatalogueError when a module lacks the constant or it is of another type.
    """
    constants: dict[str, C] = {}
    for name in _module_names(package):
        module = importlib.import_module(f"{package}.{name}")
        value = getattr(module, constant, None)
        if not isinstance(value, cls):
            raise CatalogueError(f"{module.__name__} must define {constant}: {cls.__name__}")
        constants[name] = value
    return constants


def _module_names(package: str) -> Iterator[str]:
    """Yields names relative to `package`, in the order of their last part. A folder with a `resource.py` counts as
    one."""
    names: list[str] = []
    for info in pkgutil.iter_modules(importlib.import_module(package).__path__):
        if info.name.startswith("_"):
            continue
        if not info.ispkg:
            names.append(info.name)
        elif find_spec(f"{package}.{info.name}.resource") is not None:
            names.append(f"{info.name}.resource")
        else:
            names += [f"{info.name}.{name}" for name in _module_names(f"{package}.{info.name}")]
    return iter(sorted(names, key=lambda name: name.removesuffix(".resource").rpartition(".")[2]))


class Catalogue:
    """Holds all resources of an API, by path and by kind. The preferred version of a kind comes before its others.

    Kinds without verbs are the bodies of subresources: they have no path of their own, and `by_kind` alone finds them.
    """

    def __init__(self, resources: list[Resource[Any]]) -> None:
        self.edition = 0
        """Another number after each change: kinds may come and go at run time."""
        self._by_plural: dict[tuple[str, str, str], Resource[Any]] = {}
        self._by_kind: dict[tuple[str, str], Resource[Any]] = {}
        for resource in sorted(resources, key=lambda each: version_rank(each.version)):
            self.add(resource)

    def add(self, resource: Resource[Any]) -> None:
        """Raises: CatalogueError when another kind has the same path."""
        path = (resource.group, resource.version, resource.plural)
        if resource.verbs and path in self._by_plural:
            raise CatalogueError(f"two files define {resource.plural} in {resource.api_version}")
        self._by_kind[(resource.api_version, resource.kind)] = resource
        if resource.verbs:
            self._by_plural[path] = resource
        self.edition += 1

    def remove(self, resource: Resource[Any]) -> None:
        del self._by_plural[(resource.group, resource.version, resource.plural)]
        del self._by_kind[(resource.api_version, resource.kind)]
        self.edition += 1

    def __iter__(self) -> Iterator[Resource[Any]]:
        return iter(self._by_plural.values())

    def find(self, group: str, version: str, plural: str) -> Resource[Any] | None:
        return self._by_plural.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Resource[Any] | None:
        return self._by_kind.get((api_version, kind))

    def kinds(self) -> Iterator[Resource[Any]]:
        """Every kind, including those without a path."""
        return iter(self._by_kind.values())

    def groups(self) -> dict[str, list[str]]:
        """Returns group -> versions, the preferred one first; the core group is ""."""
        groups: dict[str, list[str]] = {}
        for group, version, _ in self._by_plural:
            versions = groups.setdefault(group, [])
            if version not in versions:
                versions.append(version)
        return {group: sorted(versions, key=version_rank) for group, versions in groups.items()}


def version_rank(version: str) -> tuple[int, int, int]:
    """Sorts versions as clients prefer them: stable before beta before alpha, then the newest: v2, v1, v1beta1.

    Source: Kubernetes documentation, "Version priority".
    """
    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if match is None:
        return 3, 0, 0
    number, stage, step = match.groups()
    return {None: 0, "beta": 1, "alpha": 2}[stage], -int(number), -int(step or 0)


def load_catalogue(package: str = "kubeapi") -> Catalogue:
    """Collects every kind that has a file in `package`."""
    return Catalogue(list(collect(package, "RESOURCE", Resource).values()))
