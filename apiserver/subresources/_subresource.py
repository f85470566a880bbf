"""A subresource: what stands below an object's path, with the verbs that it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from apimachinery.resource import Resource
from apiserver.handlers.api import Handler
from apiserver.request.query import Query, parse_bool, parse_int


@dataclass(frozen=True, slots=True)
class Parameter:
    """`type` is JSON's, "array" for strings that may be given many times."""

    name: str
    description: str
    type: str = "string"
    place: str = "query"
    values: tuple[str, ...] = ()


_READ: Mapping[str, Callable[[Query, str], Any]] = {
    "array": lambda query, name: query[name],
    "boolean": parse_bool,
    "integer": parse_int,
    "string": lambda query, name: query[name][0],
}
PROXY_PARAMETERS = (Parameter("path", "The path to request from the target of the proxy."),)


@dataclass(frozen=True)
class Subresource:
    """`resource` is the plural it belongs to, in `resource_version` if that is set and else in every version.

    `kind`, `group` and `version` are those of its body, in discovery.
    """

    resource: str
    name: str
    handlers: Mapping[str, Handler]
    """Verb ("get", "create", "update", "patch") -> handler."""
    kind: str
    group: str = ""
    version: str = "v1"
    resource_group: str = ""
    resource_version: str = ""
    long_running: bool = False
    """Streams for as long as the client likes: outside the limits of requests in flight and of time."""
    changes_spec: bool = False
    """A write may change what the client wants of the object, and then raises `metadata.generation`."""
    parameters: tuple[Parameter, ...] = ()
    """Query parameters of its own."""

    def belongs_to(self, resource: Resource[Any]) -> bool:
        of = (self.resource_group, self.resource, self.resource_version or resource.version)
        return of == (resource.group, resource.plural, resource.version)

    @property
    def connects(self) -> bool:
        """Whether it is a connection to the object, and its kind the options of that."""
        return self.kind.endswith("Options")

    def options(self, query: Query) -> dict[str, Any]:
        """Reads the parameters of its own from a query. Raises: BadRequest."""
        return {
            parameter.name: _READ[parameter.type](query, parameter.name)
            for parameter in self.parameters
            if parameter.name in query
        }

    @property
    def verbs(self) -> list[str]:
        """For discovery, which does not know OPTIONS."""
        return sorted(verb for verb in self.handlers if verb != "options")


class Subresources:
    """All subresources, which come and go with their resources."""

    def __init__(self, subresources: Iterable[Subresource]) -> None:
        self._by_plural: dict[tuple[str, str], list[Subresource]] = {}
        for subresource in subresources:
            self.add(subresource)

    def __iter__(self) -> Iterator[Subresource]:
        return chain.from_iterable(self._by_plural.values())

    def of(self, resource: Resource[Any]) -> list[Subresource]:
        """Returns those of a resource in the order of discovery: by name, but as they came for custom resources."""
        own = [item for item in self._by_plural.get((resource.group, resource.plural), ()) if item.belongs_to(resource)]
        return own if resource.schema is not None else sorted(own, key=lambda item: item.name)

    def add(self, subresource: Subresource) -> None:
        self._by_plural.setdefault((subresource.resource_group, subresource.resource), []).append(subresource)

    def remove_of(self, resource: Resource[Any]) -> None:
        path = (resource.group, resource.plural)
        self._by_plural[path] = [item for item in self._by_plural.get(path, ()) if not item.belongs_to(resource)]
        if not self._by_plural[path]:
            del self._by_plural[path]
