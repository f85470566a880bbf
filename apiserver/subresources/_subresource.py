"""A subresource: what stands below an object's path, with the verbs that it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apimachinery.resource import Resource
from apiserver.handlers.api import Handler


@dataclass(frozen=True, slots=True)
class Parameter:
    """`type` is JSON's, "array" for strings that may be given many times."""

    name: str
    description: str
    type: str = "string"
    place: str = "query"
    values: tuple[str, ...] = ()


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
    def verbs(self) -> list[str]:
        """For discovery, which does not know OPTIONS."""
        return sorted(verb for verb in self.handlers if verb != "options")
